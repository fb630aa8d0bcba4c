/** Small SAEs whose truth is known because they were made here. */
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import type { Device } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { made } from "../sae/made-saes.ts";
import { seeded } from "../random.ts";

/** A normal random number from a uniform source (Box and Muller). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Random unit rows. `-> [n, d]` */
export function unitDirections(n: number, d: number, seed: number): number[][] {
  const random = seeded(seed);
  return Array.from({ length: n }, () => unit(Array.from({ length: d }, () => normal(random))));
}

/** A vector scaled to norm 1. */
export function unit(vector: readonly number[]): number[] {
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

/** Rows as a tensor. */
export function rowsOf(rows: readonly (readonly number[])[]): Tensor<"float32"> {
  return tensor("float32", [rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()));
}

/** What a made SAE is made of; the encoder is the transposed decoder where none is given. */
export interface ToyWeights {
  readonly W_dec: readonly (readonly number[])[];
  readonly W_enc?: Tensor<"float32">;
  readonly b_enc?: readonly number[];
  readonly b_dec?: readonly number[];
  readonly threshold?: readonly number[];
}

/** A JumpReLU SAE in SAELens's format on disk. `cfg` overrides its config. */
export function toyFolder(
  weights: ToyWeights,
  cfg: Record<string, unknown> = {},
  name = "sae",
): string {
  const W_dec = rowsOf(weights.W_dec);
  const [d_sae = 0, d_in = 0] = W_dec.dims;
  const W_enc = new Float32Array(d_in * d_sae);
  for (let latent = 0; latent < d_sae; latent++)
    for (let at = 0; at < d_in; at++)
      W_enc[at * d_sae + latent] = W_dec.data[latent * d_in + at] as number;
  const { metadata, ...own } = cfg;
  const architecture = own["architecture"] ?? "jumprelu";
  return made(
    {
      "cfg.json": {
        architecture,
        d_in,
        d_sae,
        dtype: "float32",
        apply_b_dec_to_input: true,
        normalize_activations: "none",
        ...own,
        metadata: {
          sae_lens_version: "6.0.0",
          hook_name: "blocks.0.hook_resid_post",
          prepend_bos: true,
          ...(metadata as object | undefined),
        },
      },
      "sae_weights.safetensors": new Map<string, Tensor>([
        ["W_enc", weights.W_enc ?? tensor("float32", [d_in, d_sae], W_enc)],
        ["b_enc", vector(weights.b_enc, d_sae, 0)],
        ["W_dec", W_dec],
        ["b_dec", vector(weights.b_dec, d_in, 0)],
        ...(architecture === "jumprelu"
          ? ([["threshold", vector(weights.threshold, d_sae, 0.1)]] as const)
          : []),
      ]),
    },
    name,
  );
}

function vector(
  values: readonly number[] | undefined,
  length: number,
  otherwise: number,
): Tensor<"float32"> {
  const data = Float32Array.from({ length }, (_, at) => values?.[at] ?? otherwise);
  return tensor("float32", [length], data);
}

/** The same, opened. */
export async function toySae(
  device: Device,
  weights: ToyWeights,
  cfg: Record<string, unknown> = {},
): Promise<Sae> {
  return openSae(await loadSae(toyFolder(weights, cfg)), device);
}
