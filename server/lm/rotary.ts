/** Rotary position embedding: frequencies with their scalings, and the cos/sin tables that blocks take as inputs. */
import type { ConfigReader } from "./config.ts";

/** How the layers of one kind turn queries and keys. */
export interface RotaryConfig {
  /** The first `dims` entries of each head turn, in halves as in GPT-NeoX; the rest passes through. */
  readonly dims: number;
  /** Angle per position of each pair `[dims / 2]`. */
  readonly inverseFrequencies: Float32Array;
}

/** Facts that frequencies are computed from. */
export interface RotaryFacts {
  readonly dims: number;
  readonly theta: number;
  /** The config's `rope_scaling` or `rope_parameters`, where there is one. */
  readonly scaling?: ConfigReader;
}

/**
 * Frequencies theta^(-2i/dims), scaled as the config asks.
 *
 * Su et al. 2021, arXiv:2104.09864. Computed in f32 step by step as transformers' modeling_rope_utils.py does, because at
 * position 2000 an f64 table differs from torch's by 1e-4.
 */
export function readRotary(facts: RotaryFacts): RotaryConfig {
  const { dims, theta, scaling } = facts;
  const plain = Float32Array.from({ length: dims / 2 }, (_, i) =>
    Math.fround(1 / Math.fround(Math.pow(theta, Math.fround((2 * i) / dims)))),
  );
  return { dims, inverseFrequencies: scaling === undefined ? plain : scale(plain, scaling) };
}

/** Half-split cos and sin of positions [from, to): two arrays `[to - from, dims]`, sin with the sign of its half. */
export function rotaryTables(
  config: RotaryConfig,
  from: number,
  to: number,
): { cos: Float32Array; sin: Float32Array } {
  const { dims, inverseFrequencies } = config;
  const half = dims / 2;
  const cos = new Float32Array((to - from) * dims);
  const sin = new Float32Array((to - from) * dims);
  for (let position = from; position < to; position++) {
    const row = (position - from) * dims;
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * (inverseFrequencies[i] ?? 0));
      cos[row + i] = cos[row + half + i] = Math.cos(angle);
      sin[row + half + i] = Math.sin(angle);
      sin[row + i] = -(sin[row + half + i] ?? 0);
    }
  }
  return { cos, sin };
}

function scale(plain: Float32Array, scaling: ConfigReader): Float32Array {
  const type = scaling.string("rope_type", scaling.string("type", "default"));
  switch (type) {
    case "default":
      return plain;
    case "linear": {
      const factor = scaling.number("factor");
      return plain.map((frequency) => frequency / factor);
    }
    case "llama3":
      return scaleLlama3(plain, scaling);
    case "divisors": {
      // Our own name for what a GGUF file bakes into its rope_freqs tensor.
      const divisors = scaling.raw("divisors") as readonly number[];
      return plain.map((frequency, i) => frequency / (divisors[i] ?? 1));
    }
    default:
      throw scaling.bad(
        "rope_type",
        "default, linear or llama3 (other scalings are not supported)",
      );
  }
}

/** Llama 3.1's scaling: long wavelengths by `factor`, short ones not, between them a blend (modeling_rope_utils.py). */
function scaleLlama3(plain: Float32Array, scaling: ConfigReader): Float32Array {
  const factor = scaling.number("factor");
  const low = scaling.number("low_freq_factor");
  const high = scaling.number("high_freq_factor");
  const context = scaling.number("original_max_position_embeddings");
  return plain.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength > context / low) return frequency / factor;
    if (wavelength < context / high) return frequency;
    const smooth = (context / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}
