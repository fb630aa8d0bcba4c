/** A penalty on how many latents a labelled task runs through: the L1 norm of gradient × activation. */
import * as v from "valibot";
import type { Tensor } from "../tensor/tensor.ts";
import { count, notNegative, size } from "./options.ts";

/**
 * Attribution sparsity. For a prompt with a metric m (the logit of the right answer less that of the wrong one at the
 * position where it is read) and g_t = ∂m/∂x_t at the SAE's place, through the rest of the language model, latent i at token t has the
 * attribution a_ti · (W_dec_i · g_t): gradient × activation of the latent, with the SAE's error kept beside it as a
 * node of its own (Marks et al. 2024, arXiv:2403.19647), so that g does not depend on the SAE. The loss gets
 *
 *     coefficient · mean over prompts of Σ_t Σ_i |a_ti · (W_dec_i · g_t)|
 *
 * whose gradient goes to W_dec, and through the activations to the encoder.
 */
export const attributionOption = v.nullable(
  v.strictObject({
    coefficient: notNegative(),
    warmUpSteps: v.optional(count(), 0),
    /** Prompts of one step, in turns; null for all of them at every step. */
    promptsPerStep: v.optional(v.nullable(size()), null),
  }),
);

/** Tokens of some prompts of a labelled task. */
export interface TaskRows {
  /** Prompts that the rows belong to. */
  readonly prompts: number;
  /** `[rows, d_in]` */
  readonly x: Tensor<"float32">;
  /** Gradients of the prompts' metrics at the place that the SAE writes to. `[rows, d_out]` */
  readonly gradient: Tensor<"float32">;
}
