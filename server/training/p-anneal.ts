/**
 * A sparsity penalty whose exponent p falls from 1 during training, while its coefficient is adapted so that the penalty
 * keeps its size. Karvonen et al. 2024, arXiv:2408.00113, as dictionary_learning@0.1.0 trainers/p_anneal.py has it.
 */
import * as v from "valibot";
import type { Value } from "../graph/graph.ts";
import { mul, pow, reduceMean, reduceSum } from "../graph/ops/index.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { coefficientEntries } from "./common-config.ts";
import type { DenseInputs } from "./dense-recipe.ts";
import { forActiveRows, type ListedActs, type ListedParts } from "./listed-recipe.ts";
import { count, notNegative, oneOf, positive, size } from "./options.ts";
import { float64Of } from "./parameters.ts";
import { warmedUp } from "./schedules.ts";

/** Options; names of dictionary_learning beside them. `coefficient` is `initial_sparsity_penalty`. */
export const pAnnealEntries = {
  ...coefficientEntries,
  /** `sparsity_function`: mean of (Σ f^p)^(1/p), or of Σ f^p. */
  function: v.optional(oneOf("Lp", "Lp^p"), "Lp"),
  /** `p_start` */
  pStart: v.optional(positive(), 1),
  /** `p_end` */
  pEnd: v.optional(notNegative(), 0),
  /** `anneal_start`: step of the first update. */
  annealStart: v.optional(count(), 15_000),
  /** `anneal_end`: step of the last update; null is the run's number of steps. */
  annealEnd: v.optional(v.nullable(count()), null),
  /** `n_sparsity_updates`; null updates at every step between start and end (`continuous`). */
  updates: v.optional(v.nullable(size()), 10),
  /** `sparsity_queue_length` */
  queueLength: v.optional(size(), 10),
} as const;

const pAnnealObject = v.object(pAnnealEntries);

/** Options of `PAnneal`. */
export type PAnnealOptions = v.InferOutput<typeof pAnnealObject>;

const stateName = "penalty/p_anneal";

/** The penalty in a run. */
export class PAnneal {
  readonly #options: PAnnealOptions;
  readonly #updateSteps: readonly number[];
  readonly #pValues: readonly number[];
  #p: number;
  /** Undefined until the first update. */
  #nextP: number | undefined;
  #coefficient: number;
  #updates = 0;
  /** Lp loss with p and with the next p, of the last steps. */
  #queue: (readonly [number, number])[] = [];

  constructor(options: PAnnealOptions, steps: number) {
    const { pStart, pEnd, annealStart, coefficient } = options;
    const end = options.annealEnd ?? steps;
    const n = options.updates ?? end - annealStart + 1;
    this.#options = options;
    this.#updateSteps = linspace(annealStart, end, n).map(Math.trunc);
    this.#pValues = linspace(pStart, pEnd, n).map(Math.fround);
    this.#p = pStart;
    this.#coefficient = coefficient;
  }

  scalars(step: number): Readonly<Record<string, number>> {
    const scale = warmedUp(1, this.#options.warmUpSteps, step);
    const next = this.#nextP ?? this.#p;
    return { lp_coefficient: this.#coefficient * scale, p: this.#p, next_p: next };
  }

  build(acts: Value, inputs: DenseInputs) {
    const loss = (p: Value) => {
      // At 0 the slope of f^p is infinite; relu's own slope, 0 there, comes after it.
      const powers = reduceSum(pow(acts, p), [1]);
      const isLp = this.#options.function === "Lp";
      return reduceMean(isLp ? pow(powers, reciprocalOf(p)) : powers, [0]);
    };
    const lp = loss(inputs.scalar("p"));
    return {
      parts: { scaled_lp_loss: mul(lp, inputs.scalar("lp_coefficient")) },
      metrics: { lp_loss: lp, lp_loss_next: loss(inputs.scalar("next_p")) },
    };
  }

  /** At p 0 silent latents count as well. */
  canList(): boolean {
    return this.#p > 0;
  }

  /** As `build`. */
  listed({ lists, acts, slopes, norms, scalars }: ListedActs): ListedParts {
    const { p, next_p, lp_coefficient } = scalars as Record<
      "p" | "next_p" | "lp_coefficient",
      number
    >;
    const isLp = this.#options.function === "Lp";
    const nLatents = norms.slopes.length;
    const { rows } = lists;
    const of = (powers: number, exponent: number) => (isLp ? powers ** (1 / exponent) : powers);
    let [lp_loss, lp_loss_next] = [0, 0];
    forActiveRows(lists, (begin, end) => {
      let powers = 0;
      // 0 to the power of 0 is 1.
      let next = next_p === 0 ? nLatents - (end - begin) : 0;
      for (let entry = begin; entry < end; entry++) {
        powers += acts[entry]! ** p;
        next += acts[entry]! ** next_p;
      }
      lp_loss += of(powers, p) / rows;
      lp_loss_next += of(next, next_p) / rows;
      if (powers === 0) return;
      const outer = (lp_coefficient / rows) * (isLp ? powers ** (1 / p - 1) : p);
      for (let entry = begin; entry < end; entry++)
        slopes[entry]! += outer * acts[entry]! ** (p - 1);
    });
    return {
      parts: { scaled_lp_loss: lp_loss * lp_coefficient },
      metrics: { lp_loss, lp_loss_next },
    };
  }

  /** The next exponent and coefficient, if this step brings them. */
  commit(step: number, found: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    if (this.#nextP !== undefined) {
      this.#queue.push([found["lp_loss"]!, found["lp_loss_next"]!]);
      this.#queue = this.#queue.slice(-this.#options.queueLength);
    }
    const due = this.#updateSteps[this.#updates];
    if (due !== undefined && step >= due && this.#updateSteps.includes(step)) this.#update();
    return {
      p: this.#p,
      ...(this.#nextP === undefined ? {} : { next_p: this.#nextP }),
      sparsity_coeff: this.#coefficient,
    };
  }

  state(): Map<string, Tensor> {
    const numbers = [
      this.#p,
      this.#nextP ?? Number.NaN,
      this.#coefficient,
      this.#updates,
      this.#queue.length,
      ...this.#queue.flat(),
    ];
    const all = Float64Array.from({ length: this.#stateLength }, (_, at) => numbers[at] ?? 0);
    return new Map([[stateName, tensor("float64", [all.length], all)]]);
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    const found = [...float64Of(state, stateName, [this.#stateLength])];
    const [p, nextP, coefficient, updates, queued] = found as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.#p = p;
    this.#nextP = Number.isNaN(nextP) ? undefined : nextP;
    this.#coefficient = coefficient;
    this.#updates = updates;
    this.#queue = Array.from({ length: queued }, (_, at) => [
      found[5 + 2 * at]!,
      found[6 + 2 * at]!,
    ]);
  }

  get #stateLength(): number {
    return 5 + 2 * this.#options.queueLength;
  }

  #update(): void {
    if (this.#nextP !== undefined) {
      const mean = (at: 0 | 1) =>
        this.#queue.reduce((sum, pair) => sum + pair[at], 0) / this.#queue.length;
      this.#coefficient *= mean(0) / mean(1);
    }
    this.#p = this.#pValues[this.#updates]!;
    this.#nextP = this.#pValues[this.#updates + 1] ?? this.#options.pEnd;
    this.#updates++;
  }
}

function reciprocalOf(p: Value): Value {
  return pow(p, -1);
}

/** n evenly spaced numbers from `from` to `to`, both included, from both ends as torch.linspace counts them. */
function linspace(from: number, to: number, n: number): number[] {
  if (n === 1) return [from];
  const step = (to - from) / (n - 1);
  return Array.from({ length: n }, (_, at) =>
    at < n / 2 ? from + step * at : to - step * (n - 1 - at),
  );
}
