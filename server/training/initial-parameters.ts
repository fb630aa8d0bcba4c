/** Parameters before the first step, from a config's seed. */
import { sizeOf } from "../tensor/tensor.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Parameter, Parameters } from "./parameters.ts";
import { SeededRandom } from "../base/seeded-random.ts";

/** Streams of random numbers of one seed. */
const streams = { W_dec: 1, W_enc: 2 } as const;

/**
 * Draws W_dec, scales its rows, takes W_enc from it or draws it too; `constants` are the vectors that do not start at 0.
 * Both libraries start like this (sae-lens@6.54 saes/sae.py, dictionary_learning@0.1.0 dictionary.py), with other numbers.
 */
export function initialise(
  parameters: Parameters,
  config: Pick<CommonConfig, "init" | "seed" | "tied">,
  constants: Readonly<Record<string, number>>,
): void {
  const { init, seed, tied } = config;
  const W_dec = parameters.get("W_dec");
  drawRows(W_dec, init.distribution, new SeededRandom(seed, streams.W_dec));
  if (init.decoderNorm !== null) scaleRows(W_dec, init.decoderNorm);
  if (!tied) {
    const W_enc = parameters.get("W_enc");
    if (init.encoder === "decoder") W_enc.value.set(W_dec.value);
    else drawRows(W_enc, init.distribution, new SeededRandom(seed, streams.W_enc));
  }
  for (const [name, value] of Object.entries(constants)) parameters.get(name).value.fill(value);
}

/** Entries of variance 2 / width (He et al. 2015, arXiv:1502.01852, as torch's kaiming initialisations have it). */
function drawRows(
  { dims, value }: Parameter,
  distribution: "uniform" | "normal",
  random: SeededRandom,
): void {
  const width = dims[1] ?? 1;
  const bound = Math.sqrt(6 / width);
  const deviation = Math.sqrt(2 / width);
  for (let i = 0; i < value.length; i++)
    value[i] =
      distribution === "uniform" ? bound * (2 * random.uniform() - 1) : deviation * random.normal();
}

function scaleRows({ dims, value }: Parameter, norm: number): void {
  const [rows = 0, width = 0] = dims;
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let at = row * width; at < (row + 1) * width; at++) squares += value[at]! ** 2;
    const factor = norm / Math.sqrt(squares);
    for (let at = row * width; at < (row + 1) * width; at++) value[at] = value[at]! * factor;
  }
}

/** Numbers that a config's parameters have in all. */
export function parameterCount(shapes: Readonly<Record<string, readonly number[]>>): number {
  return Object.values(shapes).reduce((sum, dims) => sum + sizeOf(dims), 0);
}
