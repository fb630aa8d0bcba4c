/** Euclidean norms of a decoder's rows, for formats that fold or divide by them. */
import { wrongParameterShape } from "../errors.ts";
import type { TensorFile } from "../tensor-file.ts";

/** Rows read at a time. */
const pieceElements = 1 << 20;

/**
 * Norm of each row of W_dec, at least 1e-8 as SAELens clamps them. `[d_sae, d_out] -> [d_sae]`
 *
 * `transposed`: the file holds `[d_out, d_sae]`.
 */
export function rowNorms(
  place: { readonly in: TensorFile; readonly key: string; readonly transposed?: boolean },
  dims: readonly [number, number],
): Float32Array {
  const { in: file, key, transposed = false } = place;
  const [d_sae] = dims;
  const expected = transposed ? dims.toReversed() : dims;
  const found = file.dims(key) ?? [];
  if (found.length !== 2 || found.some((size, at) => size !== expected[at]))
    throw wrongParameterShape({ file: file.description, key, found, expected });
  const sums = new Float64Array(d_sae);
  const [outer = 0, inner = 0] = found;
  const step = Math.max(1, Math.floor(pieceElements / inner));
  for (let from = 0; from < outer; from += step) {
    const to = Math.min(from + step, outer);
    const piece = file.readRows(key, from, to);
    for (let row = from; row < to; row++)
      for (let column = 0; column < inner; column++) {
        const value = piece[(row - from) * inner + column]!;
        const latent = transposed ? column : row;
        sums[latent] = sums[latent]! + value * value;
      }
  }
  return Float32Array.from(sums, (sum) => Math.max(Math.sqrt(sum), 1e-8));
}
