/**
 * Latents whose gate and magnitude are computed apart. Rajamanoharan et al. 2024, arXiv:2404.16014; SAELens@6.54
 * gated_sae.py and dictionary_learning@0.1.0 trainers/gdm.py (and gated_anneal.py with `sparsity.kind: "p_anneal"`).
 */
import * as v from "valibot";
import { add, cast, exp, gemm, greater, mul, relu, stopGradient } from "../../graph/ops/index.ts";
import { commonEntries, resampleOption } from "../common-config.ts";
import type { DenseRecipe } from "../dense-recipe.ts";
import { matrixShapes, type TrainerKind } from "../form.ts";
import { openListedForm } from "../listed-form.ts";
import type { ListedRecipe } from "../listed-recipe.ts";
import { oneOf } from "../options.ts";
import { openPenalty, sparsityOption } from "../sparsity-penalty.ts";
import { gatedLists } from "./gated-lists.ts";

/** Options of a Gated SAE. */
export const gatedSchema = v.strictObject({
  architecture: v.literal("gated"),
  ...commonEntries,
  /** On the gate's pre-activations after ReLU. */
  sparsity: sparsityOption,
  /** Whether the auxiliary reconstruction from the gates trains W_dec and b_dec, too (SAELens), or not (dictionary_learning). */
  auxDecoder: v.optional(oneOf("trained", "fixed"), "trained"),
  resample: v.optional(resampleOption, null),
});

/** A complete config. */
export type GatedConfig = v.InferOutput<typeof gatedSchema>;

/**
 * mean ‖x − x̂‖² + penalty + mean ‖x − relu(π)·W_dec − b_dec‖², with π = (x − b_dec)·W_enc + b_gate and x̂ from
 * (π > 0) · relu((x − b_dec)·W_enc·e^r_mag + b_mag).
 */
export const gated: TrainerKind<GatedConfig> = {
  shapes: (config) => ({
    ...matrixShapes(config),
    b_gate: [config.d_sae],
    b_mag: [config.d_sae],
    r_mag: [config.d_sae],
  }),
  problem: ({ d_out }) =>
    d_out === null
      ? undefined
      : `"architecture" is "gated", but SAELens's format has no gated transcoder; train "standard", "jumprelu" or "batchtopk"`,
  open: (parts) => openListedForm(parts, recipe(parts.config)),
  dense: recipe,
  finished: () => ({ architecture: "gated" }),
};

function recipe({
  sparsity,
  steps,
  auxDecoder,
}: GatedConfig): DenseRecipe & { lists: ListedRecipe } {
  const penalty = openPenalty(sparsity, steps);
  return {
    lists: gatedLists(penalty, auxDecoder),
    scalars: (step) => penalty.scalars(step),
    commit: (step, found) => penalty.commit?.(step, found) ?? {},
    state: () => penalty.state?.() ?? new Map(),
    restore: (state) => penalty.restore?.(state),
    build(inputs) {
      const linear = inputs.encodeLinear();
      const gate = add(linear, inputs.parameter("b_gate"));
      const magnitude = relu(
        add(mul(linear, exp(inputs.parameter("r_mag"))), inputs.parameter("b_mag")),
      );
      const acts = mul(cast(greater(gate, 0), gate.dtype), magnitude);
      const gateActs = relu(gate);
      const x_hat = inputs.decode(acts);
      const held = auxDecoder === "fixed" ? stopGradient : <T>(value: T): T => value;
      const fromGates = gemm(
        gateActs,
        held(inputs.parameter("W_dec")),
        held(inputs.parameter("b_dec")),
      );
      const { parts, metrics = {} } = penalty.build(gateActs, inputs);
      return {
        parts: {
          mse_loss: inputs.meanSquaredError(x_hat),
          ...parts,
          auxiliary_reconstruction_loss: inputs.meanSquaredError(fromGates),
        },
        acts,
        x_hat,
        metrics,
      };
    },
  };
}
