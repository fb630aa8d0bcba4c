/** Next-token losses and the most likely next tokens of a context, through the rest of the model. */
import type { LanguageModel } from "../lm/language-model.ts";
import type { PredictionReading, ReaderMethods } from "../protocol/reader.ts";
import { tokenizeContext } from "../text/context-tokens.ts";
import { leadingBos, streamName, windowIds } from "./read-context.ts";
import type { StreamCache } from "./streams.ts";
import { windowsOf } from "./windows.ts";

/**
 * Figures for every token of a context, on the same streams that latents are read on, so that only the blocks
 * after the SAE's hook point still have to run.
 */
export async function readPredictions(
  state: { lmId: string; lm: LanguageModel; streams: StreamCache },
  params: Parameters<ReaderMethods["predictions"]>[0],
  signal?: AbortSignal,
): Promise<PredictionReading> {
  const { lm } = state;
  const { prependBos, k } = params;
  const { tokens } = tokenizeContext(lm.tokenizer, params.context, { prependBos });
  const nTokens = tokens.ids.length;
  const nBos = leadingBos(tokens);
  const nextTokenLoss = new Float32Array(nTokens).fill(Number.NaN);
  const topIds = new Int32Array(nTokens * k);
  const topProbabilities = new Float32Array(nTokens * k);
  for (const [index, at] of windowsOf(nTokens, nBos, lm.config.n_ctx).entries()) {
    const kept = state.streams.get(streamName(params.stream, prependBos, index), state.lmId, lm);
    kept.setIds(windowIds(tokens.ids, nBos, at));
    const found = await kept.stream.predictions(k, signal);
    const skip = index === 0 ? 0 : at.readFrom - at.from + nBos;
    nextTokenLoss.set(found.nextTokenLoss.subarray(skip), at.readFrom);
    topIds.set(found.topIds.subarray(skip * k), at.readFrom * k);
    topProbabilities.set(found.topProbabilities.subarray(skip * k), at.readFrom * k);
  }
  state.streams.trim();
  return {
    nextTokenLoss,
    topIds,
    topProbabilities,
    topTexts: Array.from(topIds, (id) => lm.tokenizer.tokenText(id)),
    k,
  };
}
