/** What directions in the residual stream say about the next token. */
import type { LanguageModel } from "./language-model.ts";

/** The k tokens that each row raises most: `[n, k]`, largest first. */
export interface LensRows {
  readonly ids: Int32Array;
  readonly values: Float32Array;
  readonly k: number;
}

/**
 * Directions through the final norm's weight and the unembedding, without bias, division by the norm or soft cap:
 * (row · scale) · W_U, the row first centred where the norm is a LayerNorm. `[n, d_model] -> [n, k]`
 *
 * nostalgebraist 2020, "interpreting GPT: the logit lens", for directions as SAEDashboard shows them.
 */
export async function logitLens(
  lm: LanguageModel,
  rows: Float32Array,
  k: number,
  signal?: AbortSignal,
): Promise<LensRows> {
  const { d_model } = lm.config;
  const n = rows.length / d_model;
  const centred = lm.architecture.names.finalNorm.kind === "layer";
  const scale = lm.unembedding.normScale();
  const x = new Float32Array(rows.length);
  for (let row = 0; row < n; row++) {
    const at = row * d_model;
    let mean = 0;
    if (centred) for (let i = 0; i < d_model; i++) mean += rows[at + i]! / d_model;
    for (let i = 0; i < d_model; i++) x[at + i] = (rows[at + i]! - mean) * scale[i]!;
  }
  const targets = new Int32Array(n).fill(-1);
  const { topIds, topValues, k: found } = await lm.unembedding.summarize(x, { k, targets }, signal);
  return { ids: topIds, values: topValues, k: found };
}
