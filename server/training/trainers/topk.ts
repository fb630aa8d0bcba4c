/** The k largest latents of each token. Gao et al. 2024, arXiv:2406.04093. */
import * as v from "valibot";
import { auxOption } from "../auxiliary-loss.ts";
import { commonEntries, thresholdAverageOption } from "../common-config.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { flag, size } from "../options.ts";
import { ThresholdAverage } from "../threshold-average.ts";
import { topkForms, topkProblem } from "./topk-family.ts";

/** Options of a TopK SAE. */
export const topkSchema = v.strictObject({
  architecture: v.literal("topk"),
  ...commonEntries,
  k: size(),
  /** Latents compete with pre-activations times the norms of their rows of W_dec. SAELens `rescale_acts_by_decoder_norm`. */
  rescaleActsByDecoderNorm: v.optional(flag(), true),
  aux: v.optional(auxOption, {}),
  /** A threshold that could stand for k, which dictionary_learning tracks; null for none. */
  thresholdAverage: v.optional(v.nullable(thresholdAverageOption), null),
});

/** A complete config. */
export type TopkConfig = v.InferOutput<typeof topkSchema>;

/** mean ‖x − x̂‖² + auxiliary loss, with x̂ from relu of the k largest pre-activations. */
export const topk: TrainerKind<TopkConfig> = {
  shapes: linearShapes,
  problem: (config) =>
    config.d_out === null
      ? topkProblem(config)
      : `"architecture" is "topk", but SAELens's format has no TopK transcoder; train "batchtopk", which becomes a JumpReLU transcoder`,
  ...topkForms(({ k, rescaleActsByDecoderNorm: rescaled, aux, thresholdAverage, d_sae }) => ({
    of: "rows",
    k,
    rescaled,
    signed: false,
    levels: [{ end: d_sae, weight: 1 }],
    aux,
    ...(thresholdAverage ? { average: new ThresholdAverage(thresholdAverage) } : {}),
  })),
  finished: ({ k, rescaleActsByDecoderNorm: rescaled }) => ({
    architecture: "topk",
    options: { k, rescale_acts_by_decoder_norm: rescaled },
    rescaled,
  }),
};
