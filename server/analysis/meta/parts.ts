/** Active meta-latents of an SAE's latents, for what only needs to hand something on to them; `breakdown.ts` measures shares. */
import type { Sae } from "../../sae/sae.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { directionsOf } from "./breakdown.ts";

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
  return { acts: await meta.encode(directionsOf(sae, latents), signal), norms };
}
