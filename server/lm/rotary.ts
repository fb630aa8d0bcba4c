/** Rotary position embedding: frequencies with their scalings, and the cos/sin tables that blocks take as inputs. */
import type { ConfigReader } from "./config.ts";
import { type Floats, floatsOf, type Precision } from "./precision.ts";

/** How the layers of one kind turn queries and keys. */
export interface RotaryConfig {
  /** The first `dims` entries of each head turn, in halves as in GPT-NeoX; the rest passes through. */
  readonly dims: number;
  /** Angle per position of each pair `[dims / 2]`. */
  readonly inverseFrequencies: Float64Array;
  /** The same with every step rounded to f32, as transformers computes it. */
  readonly roundedFrequencies: Float32Array;
}

/** Facts that frequencies are computed from. */
export interface RotaryFacts {
  readonly dims: number;
  readonly theta: number;
  /** The config's `rope_scaling` or `rope_parameters`, where there is one. */
  readonly scaling?: ConfigReader;
}

/**
 * Frequencies theta^(-2i/dims), scaled as the config asks. Su et al. 2021, arXiv:2104.09864;
 * transformers modeling_rope_utils.py.
 */
export function readRotary({ dims, theta, scaling }: RotaryFacts): RotaryConfig {
  const scaled = (plain: number, i: number): number =>
    scaling === undefined ? plain : scale(plain, i, scaling);
  const length = dims / 2;
  return {
    dims,
    inverseFrequencies: Float64Array.from({ length }, (_, i) =>
      scaled(theta ** ((-2 * i) / dims), i),
    ),
    roundedFrequencies: Float32Array.from({ length }, (_, i) =>
      scaled(Math.fround(1 / Math.fround(theta ** Math.fround((2 * i) / dims))), i),
    ),
  };
}

/**
 * cos and sin of positions [from, to), one angle for both halves of what turns: two arrays `[to - from, dims / 2]`.
 *
 * In float32 the angle is rounded too, as torch rounds it: with exact angles the median difference from torch at layer 9 of
 * SmolLM2 grows by a tenth at 200 tokens, and with the length of the text. In float64 the angle is exact.
 */
export function rotaryTables(
  config: RotaryConfig,
  [from, to]: readonly [number, number],
  precision: Precision,
): { cos: Floats; sin: Floats } {
  const { dims, inverseFrequencies, roundedFrequencies } = config;
  const half = dims / 2;
  const cos = new floatsOf[precision]((to - from) * half);
  const sin = new floatsOf[precision]((to - from) * half);
  for (let position = from; position < to; position++) {
    const row = (position - from) * half;
    for (let i = 0; i < half; i++) {
      const angle =
        precision === "float32"
          ? Math.fround(position * roundedFrequencies[i]!)
          : position * inverseFrequencies[i]!;
      cos[row + i] = Math.cos(angle);
      sin[row + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

function scale(plain: number, i: number, scaling: ConfigReader): number {
  const type = scaling.string("rope_type", scaling.string("type", "default"));
  switch (type) {
    case "default":
      return plain;
    case "linear":
      return plain / scaling.number("factor");
    case "llama3":
      return scaleLlama3(plain, scaling);
    case "divisors":
      // Our own name for what a GGUF file bakes into its rope_freqs tensor.
      return plain / (scaling.raw("divisors") as readonly number[])[i]!;
    default:
      throw scaling.bad(
        "rope_type",
        "default, linear or llama3 (other scalings are not supported)",
      );
  }
}

/** Llama 3.1's scaling: long wavelengths by `factor`, short ones not, between them a blend (modeling_rope_utils.py). */
function scaleLlama3(plain: number, scaling: ConfigReader): number {
  const factor = scaling.number("factor");
  const low = scaling.number("low_freq_factor");
  const high = scaling.number("high_freq_factor");
  const context = scaling.number("original_max_position_embeddings");
  const wavelength = (2 * Math.PI) / plain;
  if (wavelength > context / low) return plain / factor;
  if (wavelength < context / high) return plain;
  const smooth = (context / wavelength - low) / (high - low);
  return ((1 - smooth) * plain) / factor + smooth * plain;
}
