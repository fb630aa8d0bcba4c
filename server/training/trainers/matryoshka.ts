/**
 * BatchTopK whose first latents must reconstruct alone, too, level by level. Bussmann et al. 2025, arXiv:2503.17547.
 * SAELens adds the errors of all levels; dictionary_learning weighs them and takes their mean.
 */
import * as v from "valibot";
import { commonEntries } from "../common-config.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { listOf, notNegative, size } from "../options.ts";
import { ThresholdAverage } from "../threshold-average.ts";
import { batchtopkEntries, batchtopkFinished } from "./batchtopk.ts";
import { topkForms, topkProblem } from "./topk-family.ts";

/** Options of a Matryoshka SAE. */
export const matryoshkaSchema = v.strictObject({
  architecture: v.literal("matryoshka"),
  ...commonEntries,
  ...batchtopkEntries,
  /** Where the levels end, ascending; the last is d_sae. SAELens `matryoshka_widths`; dictionary_learning sums of `group_sizes`. */
  widths: listOf(size()),
  /** What each level's error counts in the loss; null is 1 for all. dictionary_learning `group_weights` over their number. */
  weights: v.optional(v.nullable(listOf(notNegative())), null),
});

/** A complete config. */
export type MatryoshkaConfig = v.InferOutput<typeof matryoshkaSchema>;

/** Σ over levels of weight · mean ‖x − x̂ of the first latents‖² + auxiliary loss. */
export const matryoshka: TrainerKind<MatryoshkaConfig> = {
  shapes: linearShapes,
  problem: (config) => topkProblem(config) ?? levelProblem(config),
  ...topkForms((config) => ({
    of: "batch",
    k: config.k,
    rescaled: config.rescaleActsByDecoderNorm,
    signed: false,
    levels: config.widths.map((end, at) => ({ end, weight: config.weights?.[at] ?? 1 })),
    aux: config.aux,
    average: new ThresholdAverage(config.thresholdAverage),
  })),
  finished: batchtopkFinished,
};

function levelProblem({ widths, weights, d_sae }: MatryoshkaConfig): string | undefined {
  const list = `[${widths.join(", ")}]`;
  if (widths.at(-1) !== d_sae)
    return `"widths" is ${list}; its last entry must be "d_sae", ${d_sae}`;
  if (widths.some((width, at) => at > 0 && width <= widths[at - 1]!))
    return `"widths" is ${list}; each entry must be larger than the one before`;
  if (weights && weights.length !== widths.length)
    return `"weights" has ${weights.length} entries, "widths" ${widths.length}; there is one weight for each level`;
  return undefined;
}
