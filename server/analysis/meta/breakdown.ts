/**
 * How decoder directions break down into meta-latents. Leask et al. 2025, arXiv:2502.04878, section 5: a meta-SAE is an
 * SAE that reads the decoder rows of another one, scaled to norm 1.
 */
import type { MetaBreakdown } from "../../protocol/meta.ts";
import type { Sae, SparseActs } from "../../sae/sae.ts";
import { unitRows } from "../../sae/unit-rows.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";

/** Directions with their active meta-latents. */
export interface BrokenDown {
  readonly x: Tensor<"float32">;
  readonly x_hat: Tensor<"float32">;
  readonly acts: SparseActs;
  /** 1 − ‖x − x_hat‖² of each row. */
  readonly explained: Float32Array;
  /** Of each entry of `acts`: cosine of the row with the meta-latent's decoder row. */
  readonly cosines: Float32Array;
  /** Of each entry of `acts`: what `explained` falls by without it. */
  readonly shares: Float32Array;
}

/** The decoder rows of latents at norm 1, as a meta-SAE reads them. `-> [latents, d]` */
export function directionsOf(parent: Sae, latents: readonly number[]): Tensor<"float32"> {
  const { d_out } = parent.config;
  const rows = unitRows(parent.decoderRows(latents), d_out);
  return tensor("float32", [latents.length, d_out], rows);
}

/** Runs a meta-SAE on directions. `[n, d]` */
export async function breakDown(
  meta: Sae,
  x: Tensor<"float32">,
  signal?: AbortSignal,
): Promise<BrokenDown> {
  const acts = await meta.encode(x, signal);
  const x_hat = await meta.decode(acts, x, signal);
  const [nRows = 0, d = 0] = x.dims;
  const { places, rows, norms } = decoderRowsOf(meta, acts.latents);
  const explained = new Float32Array(nRows);
  const cosines = new Float32Array(acts.latents.length);
  const shares = new Float32Array(acts.latents.length);
  const error = new Float64Array(d);
  for (let row = 0; row < nRows; row++) {
    let lost = 0;
    let whole = 0;
    for (let at = 0; at < d; at++) {
      whole += x.data[row * d + at]! ** 2;
      error[at] = x.data[row * d + at]! - x_hat.data[row * d + at]!;
      lost += error[at]! ** 2;
    }
    // A latent whose decoder row is zero has no direction that could be explained.
    explained[row] = whole > 0 ? 1 - lost : 0;
    for (let entry = acts.offsets[row]!; entry < acts.offsets[row + 1]!; entry++) {
      const place = places.get(acts.latents[entry]!)!;
      let withX = 0;
      let withError = 0;
      for (let at = 0; at < d; at++) {
        const value = rows[place * d + at]!;
        withX += value * x.data[row * d + at]!;
        withError += value * error[at]!;
      }
      const act = acts.acts[entry]!;
      const norm = norms[place]!;
      cosines[entry] = norm > 0 ? withX / norm : 0;
      // ‖error + act·row‖² − ‖error‖²
      shares[entry] = 2 * act * withError + (act * norm) ** 2;
    }
  }
  return { x, x_hat, acts, explained, cosines, shares };
}

/** The breakdown of a row as it is shown: the `k` strongest parts. */
export function breakdownOf(
  broken: BrokenDown,
  row: number,
  latent: number,
  k: number,
): MetaBreakdown {
  const { acts, explained, cosines, shares } = broken;
  const from = acts.offsets[row] ?? 0;
  const to = acts.offsets[row + 1] ?? from;
  const parts = Array.from({ length: Math.min(k, to - from) }, (_, at) => ({
    latent: acts.latents[from + at]!,
    activation: acts.acts[from + at]!,
    cosine: cosines[from + at]!,
    share: shares[from + at]!,
  }));
  return { latent, explained: explained[row]!, parts, active: to - from };
}

/** Each decoder row that the entries use, once. */
function decoderRowsOf(
  meta: Sae,
  latents: Int32Array,
): { places: Map<number, number>; rows: Float32Array; norms: Float64Array } {
  const used = [...new Set(latents)];
  const rows = meta.decoderRows(used);
  const { d_out } = meta.config;
  const norms = Float64Array.from(used, (_, place) => {
    let squares = 0;
    for (let at = place * d_out; at < (place + 1) * d_out; at++) squares += rows[at]! ** 2;
    return Math.sqrt(squares);
  });
  return { places: new Map(used.map((latent, place) => [latent, place])), rows, norms };
}
