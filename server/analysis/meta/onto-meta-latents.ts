/** Activations of latents handed on to the meta-latents that their decoder rows are made of. */
import { type SparseActs, SparseRows } from "../../sae/sparse-acts.ts";

/** Meta-latents of every latent, and the norms of the latents' decoder rows. */
export interface Memberships {
  readonly acts: SparseActs;
  readonly norms: Float32Array;
}

/**
 * Of each row, act of a meta-latent = Σ over active latents of act · ‖W_dec_i‖ · (meta-latent's activation in i): what a
 * reconstruction from meta-latents multiplies their decoder rows by. `[rows] × latents -> [rows] × meta-latents`, strongest first.
 */
export function ontoMetaLatents(
  { offsets, latents, acts }: SparseActs,
  { acts: parts, norms }: Memberships,
): SparseActs {
  const nRows = offsets.length - 1;
  const rows = new SparseRows(nRows);
  for (let row = 0; row < nRows; row++) {
    const sums = new Map<number, number>();
    for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry++) {
      const latent = latents[entry]!;
      const strength = acts[entry]! * norms[latent]!;
      for (let at = parts.offsets[latent]!; at < parts.offsets[latent + 1]!; at++) {
        const part = parts.latents[at]!;
        sums.set(part, (sums.get(part) ?? 0) + strength * parts.acts[at]!);
      }
    }
    const ordered = [...sums].sort(([a, x], [b, y]) => y - x || a - b);
    rows.set(
      row,
      Int32Array.from(ordered, ([part]) => part),
      Float32Array.from(ordered, ([, act]) => act),
    );
  }
  return rows.finish();
}
