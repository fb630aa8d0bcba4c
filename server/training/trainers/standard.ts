/**
 * ReLU latents with an L1-like penalty. Bricken et al. 2023 (unit-norm decoder), and Anthropic's April 2024 update
 * (penalty weighted by decoder norms). Also the base of P-annealing: `sparsity.kind: "p_anneal"`.
 */
import * as v from "valibot";
import { relu } from "../../graph/ops/index.ts";
import { commonEntries, resampleOption } from "../common-config.ts";
import { openDenseForm } from "../dense-form.ts";
import type { DenseRecipe } from "../dense-recipe.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { openPenalty, sparsityOption } from "../sparsity-penalty.ts";

/** Options of a standard SAE. */
export const standardSchema = v.strictObject({
  architecture: v.literal("standard"),
  ...commonEntries,
  sparsity: sparsityOption,
  resample: v.optional(resampleOption, null),
});

/** A complete config. */
export type StandardConfig = v.InferOutput<typeof standardSchema>;

/** mean ‖x − x̂‖² + penalty, with x̂ = relu((x − b_dec)·W_enc + b_enc)·W_dec + b_dec. */
export const standard: TrainerKind<StandardConfig> = {
  shapes: linearShapes,
  open: (parts) => openDenseForm(parts, recipe(parts.config)),
  finished: ({ d_out, skip }) => ({
    architecture: d_out === null ? "standard" : skip ? "skip_transcoder" : "transcoder",
  }),
};

function recipe({ sparsity, steps }: StandardConfig): DenseRecipe {
  const penalty = openPenalty(sparsity, steps);
  return {
    scalars: (step) => penalty.scalars(step),
    commit: (step, found) => penalty.commit?.(step, found) ?? {},
    state: () => penalty.state?.() ?? new Map(),
    restore: (state) => penalty.restore?.(state),
    build(inputs) {
      const acts = relu(inputs.encodeLinear("b_enc"));
      const x_hat = inputs.decode(acts);
      const { parts, metrics = {} } = penalty.build(acts, inputs);
      return {
        parts: { mse_loss: inputs.meanSquaredError(x_hat), ...parts },
        acts,
        x_hat,
        metrics,
      };
    },
  };
}
