/** The average over steps of the smallest activation that was kept: the threshold of the finished SAE. */
import type { InferOutput } from "valibot";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { thresholdAverageOption } from "./common-config.ts";
import { float64Of } from "./parameters.ts";

/** Options of the average. */
export type ThresholdAverageOptions = InferOutput<typeof thresholdAverageOption>;

const stateName = "threshold/average";

/** Bussmann et al. 2024, arXiv:2412.06410, section 3; as SAELens and dictionary_learning compute it. */
export class ThresholdAverage {
  readonly #options: ThresholdAverageOptions;
  /** NaN before the first value. */
  #value: number;
  /** Smallest activation of the last step, while there is no average yet. */
  #last = Number.NaN;
  #steps = 0;

  constructor(options: ThresholdAverageOptions) {
    this.#options = options;
    this.#value = options.from === "zero" ? 0 : Number.NaN;
  }

  /** The average, once it has begun. */
  get value(): number | undefined {
    return Number.isNaN(this.#value) ? undefined : this.#value;
  }

  /** The average; before its first step what was last seen, so that an early end has a threshold, too. */
  get final(): number | undefined {
    return this.value ?? (Number.isNaN(this.#last) ? undefined : this.#last);
  }

  /** Ends a step in which this was the smallest positive activation, or none was positive. */
  add(smallest: number | undefined): void {
    const { rate, startStep } = this.#options;
    const step = this.#steps++;
    if (smallest === undefined) return;
    this.#last = smallest;
    if (step <= startStep) return;
    this.#value = Number.isNaN(this.#value) ? smallest : (1 - rate) * this.#value + rate * smallest;
  }

  state(): Map<string, Tensor> {
    const numbers = Float64Array.of(this.#value, this.#last, this.#steps);
    return new Map([[stateName, tensor("float64", [3], numbers)]]);
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    [this.#value = Number.NaN, this.#last = Number.NaN, this.#steps = 0] = float64Of(
      state,
      stateName,
      [3],
    );
  }
}
