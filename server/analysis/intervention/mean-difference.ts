/** The difference of means as a direction: what texts of one kind have on average at a hook point that others have not. */
import { printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { Stream } from "../../lm/stream.ts";
import { residualHook } from "../sae-site.ts";

/**
 * Mean residual that enters a layer over the tokens of some texts, each text counting alike. `-> [d_model]`
 * `skip`: tokens at the start of each that do not count, as BOS.
 */
async function meanResidual(
  lm: LanguageModel,
  layer: number,
  texts: readonly { readonly ids: Int32Array; readonly skip: number }[],
  signal?: AbortSignal,
): Promise<Float64Array> {
  const hook = residualHook(layer);
  const mean = new Float64Array(lm.config.d_model);
  const stream = new Stream(lm);
  try {
    for (const { ids, skip } of texts) {
      stream.setIds(ids);
      const { data } = (await stream.read([hook], signal)).get(printHookPoint(hook))!;
      const weight = 1 / (texts.length * Math.max(1, ids.length - skip));
      for (let i = skip * mean.length; i < data.length; i++)
        mean[i % mean.length]! += weight * data[i]!;
    }
  } finally {
    stream.dispose();
  }
  return mean;
}

/**
 * Mean over texts of one kind less the mean over texts of another (Rimsky et al. 2024, arXiv:2312.06681, take it at one token; here it
 * is over all tokens of a text). `-> [d_model]`
 */
export async function meanDifference(
  lm: LanguageModel,
  layer: number,
  {
    towards,
    away,
  }: Record<"towards" | "away", readonly { readonly ids: Int32Array; readonly skip: number }[]>,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const one = await meanResidual(lm, layer, towards, signal);
  const other = await meanResidual(lm, layer, away, signal);
  return Float32Array.from(one, (x, i) => x - other[i]!);
}
