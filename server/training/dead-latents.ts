/** Which latents have not fired for how long. */
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { CommonConfig } from "./common-config.ts";
import { float64Of } from "./parameters.ts";

/** Counts steps or tokens since each latent fired. */
export class DeadLatents {
  readonly #rule: CommonConfig["dead"];
  readonly #since: Float64Array;

  constructor({ dead, d_sae }: Pick<CommonConfig, "dead" | "d_sae">) {
    this.#rule = dead;
    this.#since = new Float64Array(d_sae);
  }

  /**
   * Those that count as dead in a step that showed `rows` tokens and in which `fired` fired (1 or 0 for each latent), by
   * the rule's own time of counting. Changes nothing.
   */
  during(fired: Uint8Array, rows: number): Uint8Array {
    if (this.#rule.counted === "before_step") return this.before();
    const amount = this.#amount(rows);
    return this.#dead((latent) => (fired[latent] ? 0 : this.#since[latent]! + amount));
  }

  /** Those that were dead when the step began. */
  before(): Uint8Array {
    return this.#dead((latent) => this.#since[latent]!);
  }

  /** Ends a step. */
  advance(fired: Uint8Array, rows: number): void {
    const amount = this.#amount(rows);
    for (let latent = 0; latent < fired.length; latent++)
      this.#since[latent] = fired[latent] ? 0 : this.#since[latent]! + amount;
  }

  /** Steps or tokens since each latent fired. */
  get since(): Float64Array {
    return this.#since;
  }

  state(): Map<string, Tensor> {
    return new Map([["dead/since", tensor("float64", [this.#since.length], this.#since)]]);
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    this.#since.set(float64Of(state, "dead/since", [this.#since.length]));
  }

  #amount(rows: number): number {
    return this.#rule.unit === "steps" ? 1 : rows;
  }

  #dead(since: (latent: number) => number): Uint8Array {
    const { after, inclusive } = this.#rule;
    const mask = new Uint8Array(this.#since.length);
    for (let latent = 0; latent < mask.length; latent++) {
      const silent = since(latent);
      mask[latent] = silent > after || (inclusive && silent === after) ? 1 : 0;
    }
    return mask;
  }
}

/** Number of ones. */
export function countOnes(mask: Uint8Array): number {
  let sum = 0;
  for (const one of mask) sum += one;
  return sum;
}
