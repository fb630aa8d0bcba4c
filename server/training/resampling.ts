/** New weights for latents that stay silent. dictionary_learning@0.1.0 trainers/standard.py `resample_neurons`. */
import type { Batch } from "./activation-normalization.ts";
import type { Parameters } from "./parameters.ts";
import type { SeededRandom } from "../base/seeded-random.ts";

/**
 * Gives dead latents rows of the batch, drawn with a chance in proportion to their error: in W_dec with norm 1, in W_enc
 * with `encoderScale` times the mean norm of the living latents' rows. Their biases and Adam averages become 0. If there
 * are more dead latents than rows, the first ones get them. Returns how many.
 *
 * The library's PAnnealTrainer assigns to copies, so that only its Adam averages change; here the weights do, too.
 */
export function resample(
  parameters: Parameters,
  dead: Uint8Array,
  sample: { batch: Batch; errors: Float64Array; encoderScale: number; random: SeededRandom },
): number {
  const { batch, errors, encoderScale, random } = sample;
  const latents = [...dead.keys()].filter((latent) => dead[latent] === 1);
  const rows = random.draw(errors, Math.min(latents.length, errors.length));
  if (rows.length === 0) return 0;
  const length = encoderScale * meanAliveNorm(parameters, dead);
  rows.forEach((row, at) => replace(parameters, latents[at]!, { batch, row, length }));
  return rows.length;
}

function meanAliveNorm(parameters: Parameters, dead: Uint8Array): number {
  const { dims, value } = parameters.get(parameters.has("W_enc") ? "W_enc" : "W_dec");
  const [d_sae = 0, width = 0] = dims;
  let [sum, alive] = [0, 0];
  for (let latent = 0; latent < d_sae; latent++) {
    if (dead[latent]) continue;
    let squares = 0;
    for (let at = latent * width; at < (latent + 1) * width; at++) squares += value[at]! ** 2;
    sum += Math.sqrt(squares);
    alive++;
  }
  return alive === 0 ? 1 : sum / alive;
}

function replace(
  parameters: Parameters,
  latent: number,
  { batch, row, length }: { batch: Batch; row: number; length: number },
): void {
  for (const { name, dims, value, mean, square } of parameters.all) {
    // b_dec and W_skip belong to no latent.
    if (name === "b_dec" || name === "W_skip") continue;
    const width = dims[1] ?? 1;
    const at = latent * width;
    mean.fill(0, at, at + width);
    square.fill(0, at, at + width);
    if (dims.length === 1) {
      if (name.startsWith("b_")) value[at] = 0;
      continue;
    }
    const source = name === "W_enc" ? batch.x : batch.target;
    const vector = source.data.subarray(row * width, (row + 1) * width);
    const norm = Math.sqrt(vector.reduce((sum, it) => sum + it ** 2, 0));
    for (let i = 0; i < width; i++)
      value[at + i] = name === "W_enc" ? vector[i]! * length : vector[i]! / norm;
  }
}
