/** Decoder rows of an SAE as its meta-SAE takes them apart. */
import type { Sae } from "../sae/sae.ts";
import type { SparseActs } from "../sae/sparse-acts.ts";
import { unitRows } from "../sae/unit-rows.ts";
import { tensor } from "../tensor/tensor.ts";

/** Meta-latents of some latents. A meta-SAE reads unit-norm decoder rows. */
export interface MetaParts {
  /** Row by latent, in the order asked. */
  readonly acts: SparseActs;
  /** Norms of the latents' decoder rows. `[latents]` */
  readonly norms: Float64Array;
}

/** Encodes the decoder rows of latents with a meta-SAE. */
export async function metaParts(
  sae: Sae,
  meta: Sae,
  latents: readonly number[],
  signal?: AbortSignal,
): Promise<MetaParts> {
  const rows = sae.decoderRows(latents);
  const width = sae.config.d_out;
  const norms = Float64Array.from(latents, (_, row) => {
    const part = rows.subarray(row * width, (row + 1) * width);
    return Math.sqrt(part.reduce((sum, x) => sum + x * x, 0));
  });
  const x = tensor("float32", [latents.length, width], unitRows(rows, width));
  return { acts: await meta.encode(x, signal), norms };
}
