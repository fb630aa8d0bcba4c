/**
 * The step of TopK-like architectures as one graph over dense activations, for devices on which such a graph stays: what
 * `sparse-form.ts` does with lists, by masks. Of pre-activations that equal the smallest kept one all are kept.
 */
import {
  abs,
  add,
  and,
  cast,
  div,
  greater,
  greaterOrEqual,
  matmul,
  maximum,
  minimum,
  mul,
  not,
  reduceMax,
  reduceMean,
  reduceSum,
  relu,
  stopGradient,
  sub,
  where,
} from "../graph/ops/index.ts";
import type { Value } from "../graph/graph.ts";
import { stretchesOf } from "../graph/stretches.ts";
import { tensor } from "../tensor/tensor.ts";
import type { AuxOptions } from "./auxiliary-loss.ts";
import type { CommonConfig } from "./common-config.ts";
import type { DenseInputs, DenseModel, DenseRecipe, StepVariant } from "./dense-recipe.ts";
import {
  largestOfBatch,
  largestOfRows,
  leastOfRows,
  meanSmallestOfRows,
} from "./largest-on-device.ts";
import type { SparseRecipe } from "./sparse-form.ts";
import { decoderNorms } from "./sparsity-penalty.ts";

/** Below every score. */
const never = -3e38;

/** What a TopK-like architecture keeps. */
export interface TopkChoice extends Omit<SparseRecipe, "selector"> {
  /** The largest of each row, or of the whole batch (k a row on average). */
  readonly of: "rows" | "batch";
  readonly k: number;
}

/** The recipe. */
export function denseTopk(config: CommonConfig, choice: TopkChoice): DenseRecipe {
  const { average, aux, k, of } = choice;
  const length = config.d_sae / stretchesOf(config.d_sae);
  // A stretch may keep eight times its share before the choice has to be made again with more.
  const share = Math.ceil((8 * k * length) / config.d_sae);
  return {
    build: (inputs, variant) => new DenseTopk(config, choice, inputs).build(variant),
    scalars: () => ({}),
    ...(aux && aux.coefficient > 0 ? { hasDeadVariant: true } : {}),
    ...(of === "batch"
      ? {
          candidates: { first: Math.min(length, 2 ** Math.ceil(Math.log2(share))), most: length },
          kept: (rows: number) => Math.min(Math.floor(k * rows), rows * config.d_sae),
        }
      : {}),
    completed: (found) => completed(found, aux),
    ...(average
      ? {
          average,
          commit: (_step, _found, { smallest = Number.NaN } = {}) => {
            average.add(smallest > 0 && smallest < 1e38 ? smallest : undefined);
            return {};
          },
          state: () => average.state(),
          restore: (state) => average.restore(state),
        }
      : {}),
  };
}

/** A step without dead latents has an auxiliary loss of 0, and without that no metrics of it. */
function completed(
  { parts, metrics }: Parameters<NonNullable<DenseRecipe["completed"]>>[0],
  aux: AuxOptions | null,
) {
  if (aux === null) return { parts, metrics };
  const { auxiliary_reconstruction_loss: loss = 0 } = parts;
  return {
    parts: { ...parts, auxiliary_reconstruction_loss: loss },
    metrics: loss === 0 ? {} : metrics,
  };
}

class DenseTopk {
  readonly #config: CommonConfig;
  readonly #choice: TopkChoice;
  readonly #inputs: DenseInputs;
  /** Norms of W_dec's rows, where activations compete with them. `[d_sae]` */
  readonly #norms: Value | undefined;

  constructor(config: CommonConfig, choice: TopkChoice, inputs: DenseInputs) {
    this.#config = config;
    this.#choice = choice;
    this.#inputs = inputs;
    // Norms decide which are largest; in what is decoded they cancel out.
    this.#norms = choice.rescaled ? stopGradient(decoderNorms(inputs)) : undefined;
  }

  build(variant: StepVariant): DenseModel {
    const inputs = this.#inputs;
    const { levels, aux, k, of, average } = this.#choice;
    const preActs = inputs.encodeLinear("b_enc");
    const scores = this.#scores(preActs);
    const { least, facts } =
      of === "batch"
        ? chosenOfBatch(scores, inputs, variant)
        : chosenOfRows(scores, k, average !== undefined);
    const kept = and(greaterOrEqual(scores, least), greater(scores, 0));
    const acts = where(kept, preActs, 0);
    const x_hats = inputs.decodeLevels(
      acts,
      levels.map(({ end }) => end),
    );
    const errors = x_hats.map((x_hat) => stopGradient(sub(x_hat, inputs.target)));
    const losses = x_hats.map((x_hat) => inputs.meanSquaredError(x_hat));
    const named = losses.map((loss, at) => {
      const { end, weight } = levels[at]!;
      const isLast = at === levels.length - 1;
      return [isLast ? "mse_loss" : `inner_mse_loss_${end}`, mul(loss, weight)] as const;
    });
    const auxiliary = aux && variant.dead ? this.#auxiliary(aux, { preActs, kept, errors }) : null;
    return {
      acts,
      x_hat: x_hats.at(-1)!,
      squaredError: losses.at(-1)!,
      parts: {
        ...Object.fromEntries(named),
        ...(auxiliary ? { auxiliary_reconstruction_loss: auxiliary.loss } : {}),
      },
      ...(auxiliary && aux?.perVariance
        ? { metrics: { pre_norm_auxk_loss: auxiliary.squaredError } }
        : {}),
      facts,
    };
  }

  /** What latents are ranked by. `[batch, d_sae]` */
  #scores(acts: Value): Value {
    const scaled = this.#norms ? mul(acts, this.#norms) : acts;
    return stopGradient(this.#choice.signed ? abs(scaled) : scaled);
  }

  /** See `auxiliary-loss.ts`; summed over levels where each has its own. */
  #auxiliary(
    aux: AuxOptions,
    { preActs, kept, errors }: { preActs: Value; kept: Value; errors: readonly Value[] },
  ): { loss: Value; squaredError: Value } {
    const { levels } = this.#choice;
    const fired = reduceMax(cast(kept, preActs.dtype), [0]);
    const after = this.#config.dead.counted === "after_step";
    const dead = after ? mul(this.#inputs.dead, sub(1, fired)) : this.#inputs.dead;
    const from = aux.perLevel ? 0 : levels.length - 1;
    return errors
      .slice(from)
      .map((error, at) => {
        const begin = at === 0 ? 0 : levels[from + at - 1]!.end;
        const own = aux.perLevel ? mul(dead, this.#range(begin, levels[from + at]!.end)) : dead;
        return this.#oneAuxiliary(aux, preActs, own, error);
      })
      .reduce((sum, one) => ({
        loss: add(sum.loss, one.loss),
        squaredError: add(sum.squaredError, one.squaredError),
      }));
  }

  #oneAuxiliary(aux: AuxOptions, preActs: Value, dead: Value, errors: Value) {
    const wanted = aux.k ?? Math.floor(this.#config.d_in / 2);
    const active = aux.acts === "relu" ? relu(preActs) : preActs;
    const isDead = greater(dead, 0);
    const ranking = where(isDead, this.#scores(active), never);
    const least = leastOfRows(largestOfRows(ranking, Math.min(wanted, this.#config.d_sae)));
    const z = where(and(isDead, greaterOrEqual(ranking, least)), active, 0);
    const error = add(matmul(z, this.#inputs.parameter("W_dec")), errors);
    const squaredError = reduceMean(reduceSum(mul(error, error), [1]), [0]);
    const count = reduceSum(dead, [0]);
    const scale = minimum(aux.scaleByDead ? mul(count, 1 / wanted) : count, 1);
    const factor = mul(scale, aux.coefficient);
    const weight = aux.perVariance ? over(factor, varianceOf(errors)) : factor;
    return { loss: mul(squaredError, stopGradient(weight)), squaredError };
  }

  /** 1 for latents `[begin, end)`. `[d_sae]` */
  #range(begin: number, end: number): Value {
    const ones = new Float32Array(this.#config.d_sae).fill(1, begin, end);
    const range = this.#inputs.graph.constant(tensor("float32", [ones.length], ones));
    return cast(range, this.#inputs.x.dtype);
  }
}

interface Chosen {
  /** Smallest score that is kept, for each row or for all. */
  readonly least: Value;
  readonly facts: Readonly<Record<string, Value>>;
}

function chosenOfRows(scores: Value, k: number, averages: boolean): Chosen {
  const largest = largestOfRows(scores, Math.min(k, scores.dims[1] as number));
  return {
    least: leastOfRows(largest),
    facts: averages ? { smallest: meanSmallestOfRows(largest) } : {},
  };
}

function chosenOfBatch(scores: Value, inputs: DenseInputs, { candidates }: StepVariant): Chosen {
  const count = inputs.graph.input("kept", "int64", [1]);
  const { least, overlooked, smallest } = largestOfBatch(relu(scores), count, candidates);
  return { least, facts: { smallest, ...(overlooked ? { least, overlooked } : {}) } };
}

/** a/b, and 0 where b is 0, as dictionary_learning has it. */
function over(a: Value, b: Value): Value {
  const isZero = not(greater(b, 0));
  return where(isZero, 0, div(a, maximum(b, 1e-30)));
}

/** Mean over rows of ‖r − mean r‖². `[rows, n] -> []` */
function varianceOf(rows: Value): Value {
  const away = sub(rows, reduceMean(rows, [0], true));
  return reduceMean(reduceSum(mul(away, away), [1]), [0]);
}
