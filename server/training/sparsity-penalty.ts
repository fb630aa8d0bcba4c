/** What standard and gated SAEs pay for active latents: an L1-like norm, or one whose exponent is annealed. */
import * as v from "valibot";
import type { Value } from "../graph/graph.ts";
import { mul, pow, reduceMean, reduceSum, sqrt, where, greater } from "../graph/ops/index.ts";
import { type Tensor } from "../tensor/tensor.ts";
import { coefficientEntries } from "./common-config.ts";
import type { DenseInputs } from "./dense-recipe.ts";
import { flag, positive } from "./options.ts";
import { forActiveRows, type ListedActs, type ListedParts } from "./listed-recipe.ts";
import { PAnneal, pAnnealEntries } from "./p-anneal.ts";
import { warmedUp } from "./schedules.ts";

/** Options of the penalty. */
export const sparsityOption = v.variant("kind", [
  /** coefficient · mean over rows of ‖acts‖_p. SAELens `l1_coefficient`, `l1_warm_up_steps`; dictionary_learning `l1_penalty`, `sparsity_warmup_steps`. */
  v.strictObject({
    kind: v.literal("l1"),
    ...coefficientEntries,
    /** SAELens `lp_norm`. */
    p: v.optional(positive(), 1),
    /** Each activation counts with the norm of its row of W_dec (SAELens; dictionary_learning's April update). */
    byDecoderNorm: v.optional(flag(), true),
  }),
  v.strictObject({ kind: v.literal("p_anneal"), ...pAnnealEntries }),
]);

/** The chosen penalty. */
export type SparsityOptions = v.InferOutput<typeof sparsityOption>;

/** A penalty in a training run. */
export interface SparsityPenalty {
  /** Parts of the loss and metrics, from activations that are never negative. `[batch, d_sae]` */
  build(acts: Value, inputs: DenseInputs): PenaltyValues;
  /** The same from lists of active latents: adds to slopes and to those of the norms. */
  listed(acts: ListedActs): ListedParts;
  /** Whether the lists say all in the next step. */
  canList?(): boolean;
  scalars(step: number): Readonly<Record<string, number>>;
  commit?(step: number, found: Readonly<Record<string, number>>): Readonly<Record<string, number>>;
  state?(): Map<string, Tensor>;
  restore?(state: ReadonlyMap<string, Tensor>): void;
}

interface PenaltyValues {
  readonly parts: Readonly<Record<string, Value>>;
  readonly metrics?: Readonly<Record<string, Value>>;
}

/** The penalty that the options describe, for a run of so many steps. */
export function openPenalty(options: SparsityOptions, steps: number): SparsityPenalty {
  return options.kind === "l1" ? l1(options) : new PAnneal(options, steps);
}

/** Norms of the rows of W_dec. `-> [d_sae]` */
export function decoderNorms(inputs: DenseInputs): Value {
  const W_dec = inputs.parameter("W_dec");
  return sqrt(reduceSum(mul(W_dec, W_dec), [1]));
}

function l1(options: Extract<SparsityOptions, { kind: "l1" }>): SparsityPenalty {
  const { coefficient, warmUpSteps, p, byDecoderNorm } = options;
  return {
    scalars: (step) => ({ l1: warmedUp(coefficient, warmUpSteps, step) }),
    build(acts, inputs) {
      const weighted = byDecoderNorm ? mul(acts, decoderNorms(inputs)) : acts;
      const norms = reduceMean(pNorm(weighted, p), [0]);
      return { parts: { l1_loss: mul(inputs.scalar("l1"), norms) } };
    },
    listed: (listed) => listedL1(listed, { p, byDecoderNorm }),
  };
}

function listedL1(
  { lists, acts, slopes, norms, scalars }: ListedActs,
  { p, byDecoderNorm }: { p: number; byDecoderNorm: boolean },
): ListedParts {
  const { columns, rows } = lists;
  const each = scalars["l1"]! / rows;
  const weights = byDecoderNorm ? norms.values : undefined;
  let sum = 0;
  forActiveRows(lists, (begin, end) => {
    let powers = 0;
    for (let entry = begin; entry < end; entry++) {
      const weighted = acts[entry]! * (weights?.[columns[entry]!] ?? 1);
      powers += p === 1 ? weighted : weighted ** p;
    }
    if (powers === 0) return;
    sum += p === 1 ? powers : powers ** (1 / p);
    const outer = p === 1 ? each : each * powers ** (1 / p - 1);
    for (let entry = begin; entry < end; entry++) {
      const latent = columns[entry]!;
      const act = acts[entry]!;
      const weight = weights?.[latent] ?? 1;
      const slope = p === 1 ? outer : outer * (act * weight) ** (p - 1);
      slopes[entry]! += slope * weight;
      if (weights) norms.slopes[latent]! += slope * act;
    }
  });
  return { parts: { l1_loss: each * sum } };
}

/** (Σ x^p)^(1/p) of rows that are never negative; what is 0 has no slope. `[batch, n] -> [batch]` */
function pNorm(x: Value, p: number): Value {
  if (p === 1) return reduceSum(x, [1]);
  const isActive = greater(x, 0);
  const powers = where(isActive, pow(where(isActive, x, 1), p), 0);
  const sum = reduceSum(powers, [1]);
  const isAny = greater(sum, 0);
  return where(isAny, pow(where(isAny, sum, 1), 1 / p), 0);
}
