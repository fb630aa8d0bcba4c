/** The k·rows largest latents of a batch. Bussmann et al. 2024, arXiv:2412.06410. */
import * as v from "valibot";
import { auxOption } from "../auxiliary-loss.ts";
import { commonEntries, thresholdAverageOption } from "../common-config.ts";
import { type FinishedKind, linearShapes, type TrainerKind } from "../form.ts";
import { flag, positive } from "../options.ts";
import { ThresholdAverage } from "../threshold-average.ts";
import { topkForms, topkProblem } from "./topk-family.ts";

/** Options that BatchTopK and Matryoshka share. */
export const batchtopkEntries = {
  /** Mean number of active latents of a token; need not be whole. */
  k: positive(),
  /** Latents compete with pre-activations times the norms of their rows of W_dec. SAELens `rescale_acts_by_decoder_norm`. */
  rescaleActsByDecoderNorm: v.optional(flag(), true),
  aux: v.optional(auxOption, {}),
  thresholdAverage: v.optional(thresholdAverageOption, {}),
} as const;

/** Options of a BatchTopK SAE. */
export const batchtopkSchema = v.strictObject({
  architecture: v.literal("batchtopk"),
  ...commonEntries,
  ...batchtopkEntries,
});

/** A complete config. */
export type BatchtopkConfig = v.InferOutput<typeof batchtopkSchema>;

/** mean ‖x − x̂‖² + auxiliary loss, with x̂ from the k·rows largest activations of the batch. */
export const batchtopk: TrainerKind<BatchtopkConfig> = {
  shapes: linearShapes,
  problem: topkProblem,
  ...topkForms(({ k, rescaleActsByDecoderNorm: rescaled, aux, thresholdAverage, d_sae }) => ({
    of: "batch",
    k,
    rescaled,
    signed: false,
    levels: [{ end: d_sae, weight: 1 }],
    aux,
    average: new ThresholdAverage(thresholdAverage),
  })),
  finished: batchtopkFinished,
};

/** With its threshold for all latents it is a JumpReLU SAE, or a JumpReLU transcoder. */
export function batchtopkFinished({
  d_out,
  skip,
  rescaleActsByDecoderNorm,
}: {
  readonly d_out: number | null;
  readonly skip: boolean;
  readonly rescaleActsByDecoderNorm: boolean;
}): FinishedKind {
  const transcoder = skip ? "jumprelu_skip_transcoder" : "jumprelu_transcoder";
  return {
    architecture: d_out === null ? "jumprelu" : transcoder,
    rescaled: rescaleActsByDecoderNorm,
    spreadThreshold: true,
  };
}
