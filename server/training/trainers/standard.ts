/**
 * ReLU latents with an L1-like penalty. Bricken et al. 2023 (unit-norm decoder), and Anthropic's April 2024 update
 * (penalty weighted by decoder norms). Also the base of P-annealing: `sparsity.kind: "p_anneal"`.
 */
import * as v from "valibot";
import { relu } from "../../graph/ops/index.ts";
import { commonEntries, resampleOption } from "../common-config.ts";
import type { DenseRecipe } from "../dense-recipe.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { openListedForm } from "../listed-form.ts";
import { allActive, type ListedRecipe } from "../listed-recipe.ts";
import { openPenalty, sparsityOption, type SparsityPenalty } from "../sparsity-penalty.ts";

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
  open: (parts) => openListedForm(parts, recipe(parts.config)),
  dense: recipe,
  finished: ({ d_out, skip }) => ({
    architecture: d_out === null ? "standard" : skip ? "skip_transcoder" : "transcoder",
  }),
};

function recipe({ sparsity, steps }: StandardConfig): DenseRecipe & { lists: ListedRecipe } {
  const penalty = openPenalty(sparsity, steps);
  return {
    lists: listsOf(penalty),
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

/** Entries are latents with positive pre-activations. */
function listsOf(penalty: SparsityPenalty): ListedRecipe {
  return {
    applies: () => penalty.canList?.() ?? true,
    bounds: (parameters) => parameters.get("b_enc").value.map((it) => -it),
    activate(lists, parameters) {
      const { rows, offsets, columns, products, values } = lists;
      const b_enc = parameters.get("b_enc").value;
      for (let entry = 0; entry < offsets[rows]!; entry++)
        values[entry] = products[entry]! + b_enc[columns[entry]!]!;
      allActive(lists);
    },
    backward: ({ lists, slopes, norms, scalars }) =>
      penalty.listed({ lists, acts: lists.values, slopes, norms, scalars }),
  };
}
