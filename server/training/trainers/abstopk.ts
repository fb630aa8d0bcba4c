/** The k latents of each token that are largest by size, signs kept. arXiv:2510.00404, as SAELens@6.54 abstopk_sae.py has it. */
import * as v from "valibot";
import { auxOption } from "../auxiliary-loss.ts";
import { commonEntries } from "../common-config.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { flag, size } from "../options.ts";
import { topkForms, topkProblem } from "./topk-family.ts";

/** Options of an AbsTopK SAE; as TopK's. */
export const abstopkSchema = v.strictObject({
  architecture: v.literal("abstopk"),
  ...commonEntries,
  k: size(),
  rescaleActsByDecoderNorm: v.optional(flag(), true),
  aux: v.optional(auxOption, {}),
});

/** A complete config. */
export type AbstopkConfig = v.InferOutput<typeof abstopkSchema>;

/** mean ‖x − x̂‖² + auxiliary loss, with x̂ from the k pre-activations that are largest by size. */
export const abstopk: TrainerKind<AbstopkConfig> = {
  shapes: linearShapes,
  problem: (config) =>
    config.d_out === null
      ? topkProblem(config)
      : `"architecture" is "abstopk", but SAELens's format has no AbsTopK transcoder; train "batchtopk"`,
  ...topkForms(({ k, rescaleActsByDecoderNorm: rescaled, aux, d_sae }) => ({
    of: "rows",
    k,
    rescaled,
    signed: true,
    levels: [{ end: d_sae, weight: 1 }],
    aux,
  })),
  finished: ({ k, rescaleActsByDecoderNorm: rescaled }) => ({
    architecture: "abstopk",
    options: { k, rescale_acts_by_decoder_norm: rescaled },
    rescaled,
  }),
};
