/** A forward pass that keeps what a backward pass needs: the residual before every block, keys and values. */
import { rowsTensor } from "./blocks.ts";
import { assert } from "../base/errors.ts";
import { contextTooLong } from "./errors.ts";
import type { LanguageModel } from "./language-model.ts";
import { PositionInputs } from "./position-inputs.ts";
import { Rows } from "./rows.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Where a forward pass starts: at the ids, or at a residual `[tokens, d_model]` that enters a block from outside. */
export type TraceStart =
  { readonly ids: Int32Array } | { readonly layer: number; readonly resid: Float32Array };

/** One sequence's way through the blocks from `firstLayer` on. */
export class Trace {
  readonly lm: LanguageModel;
  readonly firstLayer: number;
  readonly tokens: number;
  readonly positions: PositionInputs;
  /** resid_pre of every layer from `firstLayer` on, and after the last the residual that the final norm reads. */
  readonly #resid: Float32Array[];
  readonly #keys: Rows[] = [];
  readonly #values: Rows[] = [];

  private constructor(lm: LanguageModel, firstLayer: number, resid: Float32Array) {
    this.lm = lm;
    this.firstLayer = firstLayer;
    this.tokens = resid.length / lm.config.d_model;
    this.positions = new PositionInputs(lm.rotary);
    this.#resid = [resid];
  }

  /** Runs the blocks from the start on. */
  static async run(lm: LanguageModel, start: TraceStart, signal?: AbortSignal): Promise<Trace> {
    const { n_ctx } = lm.config;
    const resid = "ids" in start ? lm.embed(start.ids, 0) : start.resid;
    const trace = new Trace(lm, "ids" in start ? 0 : start.layer, resid);
    if (trace.tokens > n_ctx) throw contextTooLong(lm.id, trace.tokens, n_ctx);
    lm.device.ledger.require([
      {
        what: `${lm.id}: residuals, keys and values of ${trace.tokens} tokens`,
        bytes: trace.bytes,
      },
    ]);
    for (let layer = trace.firstLayer; layer < lm.config.n_layers; layer++) {
      await trace.#runLayer(layer, signal);
    }
    return trace;
  }

  /** Bytes that the whole trace takes. */
  get bytes(): number {
    const { n_layers, d_model, n_kv_heads, d_head } = this.lm.config;
    const row = 4 * (d_model + 2 * n_kv_heads * d_head);
    return (n_layers - this.firstLayer) * this.tokens * row;
  }

  /** The last layer that was run. */
  get lastLayer(): number {
    return this.firstLayer + this.#keys.length - 1;
  }

  /** The residual before a layer; one past the last layer, the one after it. `[tokens, d_model]` */
  resid(layer: number): Float32Array {
    const rows = this.#resid[layer - this.firstLayer];
    assert(rows !== undefined, `no residual before layer ${layer} in this trace`);
    return rows;
  }

  /** What a block takes as inputs on the rows [from, to). */
  feeds(layer: number, from: number, to: number): Record<string, Tensor> {
    const { d_model, n_kv_heads, d_head, layers } = this.lm.config;
    const at = layer - this.firstLayer;
    const past = [from, n_kv_heads, d_head];
    return {
      resid: rowsTensor(this.resid(layer).subarray(from * d_model, to * d_model), [
        to - from,
        d_model,
      ]),
      past_k: rowsTensor(this.#keys[at]!.view(0, from), past),
      past_v: rowsTensor(this.#values[at]!.view(0, from), past),
      ...this.positions.feeds(layers[layer]!, from, to),
    };
  }

  async #runLayer(layer: number, signal: AbortSignal | undefined): Promise<void> {
    const { d_model, n_kv_heads, d_head } = this.lm.config;
    const keys = new Rows(n_kv_heads * d_head);
    const values = new Rows(n_kv_heads * d_head);
    const before = this.resid(layer);
    const after = new Float32Array(before.length);
    const step = this.lm.rowsPerRun(this.tokens);
    for (let from = 0; from < this.tokens; from += step) {
      const to = Math.min(this.tokens, from + step);
      const resid = before.subarray(from * d_model, to * d_model);
      const input = { resid, from, to, pastK: keys.view(0, from), pastV: values.view(0, from) };
      const { positions } = this;
      const outputs = ["resid_post", "k", "v"] as const;
      const out = await this.lm.runBlock(layer, input, { outputs, positions, signal });
      after.set(out.get("resid_post")!.data as Float32Array, from * d_model);
      keys.append(out.get("k")!.data as Float32Array);
      values.append(out.get("v")!.data as Float32Array);
    }
    this.#resid.push(after);
    this.#keys.push(keys);
    this.#values.push(values);
  }
}
