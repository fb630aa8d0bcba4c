/**
 * Latents with learned thresholds, whose gradients are estimated straight through the jump. Rajamanoharan et al. 2024,
 * arXiv:2407.14435 (step); Anthropic, January 2025 (tanh); Gemma Scope 2 (quadratic), as SAELens@6.54 jumprelu_sae.py has
 * them; and dictionary_learning@0.1.0 trainers/jumprelu.py (target_ratio).
 */
import { unreachable } from "../../base/errors.ts";
import * as v from "valibot";
import { gradients } from "../../graph/gradients.ts";
import type { Value } from "../../graph/graph.ts";
import {
  add,
  and,
  cast,
  div,
  greater,
  mul,
  neg,
  reduceMean,
  reduceSum,
  relu,
  stopGradient,
  sub,
  tanh,
  unsqueeze,
  where,
} from "../../graph/ops/index.ts";
import { coefficientEntries, commonEntries } from "../common-config.ts";
import type { DenseInputs, DenseModel, DenseRecipe } from "../dense-recipe.ts";
import { linearShapes, type TrainerKind } from "../form.ts";
import { openListedForm } from "../listed-form.ts";
import type { ListedRecipe } from "../listed-recipe.ts";
import { finite, flag, notNegative, oneOf, positive } from "../options.ts";
import { warmedUp } from "../schedules.ts";
import { decoderNorms } from "../sparsity-penalty.ts";
import { jumpreluLists } from "./jumprelu-lists.ts";

/** What is paid for active latents. L0 is the number of a row's latents above their thresholds. */
const sparsity = v.variant("kind", [
  /** coefficient · mean L0 */
  v.strictObject({ kind: v.literal("step"), ...coefficientEntries }),
  /** coefficient · mean over rows of Σ tanh(scale · act · ‖W_dec row‖). SAELens `jumprelu_tanh_scale`. */
  v.strictObject({
    kind: v.literal("tanh"),
    ...coefficientEntries,
    scale: v.optional(positive(), 4),
  }),
  /** coefficient · mean over rows of 2/targetL0 · (L0 − targetL0)². SAELens `target_l0`. */
  v.strictObject({ kind: v.literal("quadratic"), ...coefficientEntries, targetL0: positive() }),
  /** coefficient · (mean L0 / targetL0 − 1)². dictionary_learning `sparsity_penalty`, `target_l0`. */
  v.strictObject({ kind: v.literal("target_ratio"), ...coefficientEntries, targetL0: positive() }),
]);

/** Options of a JumpReLU SAE. */
export const jumpreluSchema = v.strictObject({
  architecture: v.literal("jumprelu"),
  ...commonEntries,
  sparsity,
  /** Width of the window around a threshold in which it has a gradient. SAELens `jumprelu_bandwidth`; dictionary_learning `bandwidth`. */
  bandwidth: v.optional(positive(), 0.05),
  /** SAELens `jumprelu_init_threshold`. */
  initThreshold: v.optional(finite(), 0.01),
  /** Thresholds below 0 are put back to 0 before each step (SAELens). */
  clampThreshold: v.optional(flag(), true),
  /** L0 counts pre-activations above the threshold (SAELens), or what the jump leaves of them (dictionary_learning). */
  l0Of: v.optional(oneOf("preActs", "acts"), "preActs"),
  /** The estimate goes on to the encoder, too. SAELens `jumprelu_ste_to_input`. */
  steToInput: v.optional(flag(), false),
  /** coefficient · mean over rows of Σ over dead latents of relu(threshold − preAct)·‖W_dec row‖; null for none. SAELens `pre_act_loss_coefficient`. */
  preActCoefficient: v.optional(v.nullable(notNegative()), null),
});

/** A complete config. */
export type JumpreluConfig = v.InferOutput<typeof jumpreluSchema>;

/** mean ‖x − x̂‖² + penalties, with acts = preActs where they exceed the threshold, else 0. */
export const jumprelu: TrainerKind<JumpreluConfig> = {
  shapes: (config) => ({ ...linearShapes(config), threshold: [config.d_sae] }),
  initial: ({ initThreshold }) => ({ threshold: initThreshold }),
  problem: ({ sparsity: { ...options }, d_sae }) =>
    "targetL0" in options && options.targetL0 > d_sae
      ? `"sparsity.targetL0" is ${options.targetL0}, but there are only ${d_sae} latents ("d_sae")`
      : undefined,
  open: (parts) => openListedForm(parts, recipe(parts.config)),
  dense: recipe,
  finished: ({ d_out, skip }) => ({
    architecture:
      d_out === null ? "jumprelu" : skip ? "jumprelu_skip_transcoder" : "jumprelu_transcoder",
  }),
};

function recipe(config: JumpreluConfig): DenseRecipe & { lists: ListedRecipe } {
  const { coefficient, warmUpSteps } = config.sparsity;
  return {
    lists: jumpreluLists(config),
    scalars: (step) => ({ l0: warmedUp(coefficient, warmUpSteps, step) }),
    notNegative: config.clampThreshold ? ["threshold"] : [],
    build: (inputs) => build(inputs, config),
  };
}

/**
 * The graph is cut at activations and L0: gradients are taken of what comes after each cut, and the estimators lead them
 * across to pre-activations and thresholds.
 */
function build(inputs: DenseInputs, config: JumpreluConfig): DenseModel {
  const threshold = inputs.parameter("threshold");
  const preActs = inputs.encodeLinear("b_enc");
  const isActive = greater(preActs, threshold);
  const acts = stopGradient(where(isActive, preActs, 0));
  const counted = config.l0Of === "acts" ? acts : preActs;
  const l0 = stopGradient(reduceSum(cast(greater(counted, threshold), counted.dtype), [1]));
  const x_hat = inputs.decode(acts);
  const parts = {
    mse_loss: inputs.meanSquaredError(x_hat),
    l0_loss: mul(inputs.scalar("l0"), sparsityLoss(config, { l0, acts }, inputs)),
    ...(config.preActCoefficient === null
      ? {}
      : { pre_act_loss: preActLoss(preActs, config.preActCoefficient, inputs) }),
  };
  return {
    parts,
    acts,
    x_hat,
    gradients(loss, wrt) {
      const [dActs, dL0, ...direct] = gradients(loss, [acts, l0, ...wrt]);
      const window = nearThreshold(preActs, threshold, config.bandwidth);
      const countedWindow =
        counted === preActs ? window : nearThreshold(counted, threshold, config.bandwidth);
      // What a threshold would lose of the activation, and of the count, by moving up.
      const jump = mul(mul(window, div(threshold, config.bandwidth)), dActs!);
      const step = mul(mul(countedWindow, 1 / config.bandwidth), unsqueeze(dL0!, [1]));
      const estimate = add(jump, step);
      const passed = where(isActive, dActs!, 0);
      const intoPreActs = config.steToInput ? add(passed, estimate) : passed;
      return wrt.map((value, at) => {
        if (value === threshold) return sub(direct[at]!, reduceSum(estimate, [0]));
        return value === preActs ? add(direct[at]!, intoPreActs) : direct[at]!;
      });
    },
  };
}

/** 1 within half a bandwidth of the threshold, else 0. */
function nearThreshold(x: Value, threshold: Value, bandwidth: number): Value {
  const distance = div(sub(x, threshold), bandwidth);
  return cast(and(greater(distance, -0.5), greater(neg(distance), -0.5)), x.dtype);
}

function sparsityLoss(
  { sparsity: options }: JumpreluConfig,
  { l0, acts }: { l0: Value; acts: Value },
  inputs: DenseInputs,
): Value {
  switch (options.kind) {
    case "step":
      return reduceMean(l0, [0]);
    case "tanh": {
      const weighted = mul(mul(acts, options.scale), decoderNorms(inputs));
      return reduceMean(reduceSum(tanh(weighted), [1]), [0]);
    }
    case "quadratic": {
      const excess = sub(l0, options.targetL0);
      return reduceMean(mul(mul(excess, excess), 2 / options.targetL0), [0]);
    }
    case "target_ratio": {
      const excess = sub(div(reduceMean(l0, [0]), options.targetL0), 1);
      return mul(excess, excess);
    }
    default:
      return unreachable(options);
  }
}

/** Pulls dead latents up to their thresholds. Anthropic, January 2025, for dead latents only as in SAELens. */
function preActLoss(preActs: Value, coefficient: number, inputs: DenseInputs): Value {
  const short = relu(sub(inputs.parameter("threshold"), preActs));
  const weights = mul(inputs.dead, decoderNorms(inputs));
  return mul(reduceMean(reduceSum(mul(short, weights), [1]), [0]), coefficient);
}
