/** What a block reads beside the residual: masks and rotary tables of a range of positions. */
import type { Tensor } from "../tensor/tensor.ts";
import type { LayerConfig } from "./config.ts";
import { type Floats, floatsOf, type Precision, rowsTensor } from "./precision.ts";
import { type RotaryConfig, rotaryTables } from "./rotary.ts";

/** Rotary tables of one model, computed once for as many positions as were ever asked. */
export class RotaryCache {
  readonly precision: Precision;
  readonly #tables = new Map<RotaryConfig, { cos: Floats; sin: Floats; positions: number }>();

  constructor(precision: Precision) {
    this.precision = precision;
  }

  /** cos and sin of positions [from, to), `[tokens, dims / 2]`. */
  feeds(config: RotaryConfig, from: number, to: number): { cos: Tensor; sin: Tensor } {
    let table = this.#tables.get(config);
    if (table === undefined || table.positions < to) {
      const positions = Math.max(256, 2 ** Math.ceil(Math.log2(to)));
      table = { ...rotaryTables(config, [0, positions], this.precision), positions };
      this.#tables.set(config, table);
    }
    const half = config.dims / 2;
    const view = (data: Floats): Tensor =>
      rowsTensor(data.subarray(from * half, to * half), [to - from, half]);
    return { cos: view(table.cos), sin: view(table.sin) };
  }
}

/** Feeds of one pass through the layers; masks are shared between layers with the same window. */
export class PositionInputs {
  readonly #rotary: RotaryCache;
  readonly #masks = new Map<string, Tensor>();

  constructor(rotary: RotaryCache) {
    this.#rotary = rotary;
  }

  /** mask, cos and sin for the new positions [from, to) of a layer that has all positions before them cached. */
  feeds({ rotary, window }: LayerConfig, from: number, to: number): Record<string, Tensor> {
    const mask = this.#mask(from, to, window);
    return rotary === undefined ? { mask } : { mask, ...this.#rotary.feeds(rotary, from, to) };
  }

  #mask(from: number, to: number, window: number | undefined): Tensor {
    // A window that reaches over everything is no window.
    const reach = window === undefined || window >= to ? to : window;
    const key = `${from}:${to}:${reach}`;
    let mask = this.#masks.get(key);
    if (mask === undefined) {
      mask = causalMask([from, to], reach, this.#rotary.precision);
      this.#masks.set(key, mask);
    }
    return mask;
  }
}

/** 0 where position q may look at position p (q − reach < p ≤ q), −∞ elsewhere. `[tokens, past+tokens]` */
export function causalMask(
  [from, to]: readonly [number, number],
  reach: number,
  precision: Precision,
): Tensor {
  const data = new floatsOf[precision]((to - from) * to).fill(-Infinity);
  for (let q = from; q < to; q++) {
    const row = (q - from) * to;
    data.fill(0, row + Math.max(0, q - reach + 1), row + q + 1);
  }
  return rowsTensor(data, [to - from, to]);
}
