/** What enters block 0, read row by row from the file: no session and no copy of the vocabulary in memory. */
import type { Architecture } from "./architectures/architecture.ts";
import { unknownTokenId } from "./errors.ts";
import type { LmWeights } from "./lm-weights.ts";

/**
 * Scaled token embeddings, plus learned positions where the architecture has them, of ids that stand from position
 * `from` on. `[tokens] -> [tokens, d_model]`
 */
export function embed(
  model: string,
  { config, names }: Architecture,
  weights: LmWeights,
  { ids, from }: { readonly ids: Int32Array; readonly from: number },
): Float32Array {
  const { d_model, d_vocab, embedScale } = config;
  const rows = new Float32Array(ids.length * d_model);
  const rowOf = new Map<number, number>();
  ids.forEach((id, row) => {
    if (id < 0 || id >= d_vocab) throw unknownTokenId(model, id, d_vocab);
    const same = rowOf.get(id);
    if (same !== undefined) {
      rows.copyWithin(row * d_model, same * d_model, (same + 1) * d_model);
      return;
    }
    rowOf.set(id, row);
    rows.set(weights.readRows(names.embedding, id, id + 1), row * d_model);
  });
  if (embedScale !== 1) for (let i = 0; i < rows.length; i++) rows[i]! *= embedScale;
  if (names.positions !== undefined) {
    const positions = weights.readRows(names.positions, from, from + ids.length);
    for (let i = 0; i < rows.length; i++) rows[i]! += positions[i]!;
  }
  // A sum of zeros unless a row has NaN or infinities. By index: going through an iterator took 1 % of a reading.
  let zero = 0;
  for (let i = 0; i < rows.length; i++) zero += rows[i]! - rows[i]!;
  if (zero !== 0) {
    for (const name of [names.embedding, names.positions]) if (name) weights.checkFinite(name);
  }
  return rows;
}
