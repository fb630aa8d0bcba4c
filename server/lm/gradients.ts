/**
 * Gradients through a language model: from a number made of its logits, or from gradients at residuals, back to the residual
 * before each block and to the hook points inside blocks. A backward pass goes block by block; each block is recomputed
 * from its kept residual, and long sequences go in pieces from the last to the first.
 *
 * Use: `const trace = await Trace.run(lm, { ids })` runs forward and keeps residuals, keys and values;
 * `unembedding.logits(…)`, `.nextToken(…)` or `.divergence(…)` give a number and the gradient that enters at
 * the end; `backward(trace, …)` carries it down. To train with something spliced in before layer L, trace the plain
 * model, then `Trace.run(lm, { layer: L, resid })` with the replaced residual, and take the gradient at
 * `{ kind: "resid_pre", layer: L }`.
 */
import { assert } from "../base/errors.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { rowsTensor } from "./blocks.ts";
import {
  GradientBlocks,
  type GradientHookKind,
  type GradientOptions,
  type GradientOutput,
} from "./gradient-blocks.ts";
import { Trace } from "./gradient-trace.ts";
import { GradientUnembedding, type LogitTerm } from "./gradient-unembedding.ts";
import { printHookPoint } from "./hook-points.ts";
import type { LanguageModel } from "./language-model.ts";

/** A place at which a gradient is read. */
export interface GradientHook {
  readonly kind: GradientHookKind;
  readonly layer: number;
}

/** What flows back: gradients with regard to residuals, by the layer they enter; one past the last layer is the final one. */
export type EnteringGradients = ReadonlyMap<number, Float32Array>;

/** A number and its gradients, by TransformerLens name of the hook point. */
export interface HookGradients {
  readonly value: number;
  readonly gradients: ReadonlyMap<string, Tensor<"float32">>;
}

/** Backward sessions of one model. Not for concurrent use. */
export class LmGradients {
  readonly lm: LanguageModel;
  readonly unembedding: GradientUnembedding;
  readonly #blocks: GradientBlocks;

  constructor(lm: LanguageModel, options: GradientOptions = {}) {
    this.lm = lm;
    this.unembedding = new GradientUnembedding(lm);
    this.#blocks = new GradientBlocks(lm, options);
  }

  /**
   * Σ weight · logit and its gradients at hook points, `[tokens, d]` for all tokens of `ids` (zero after the last position
   * that the sum reads, where nothing is run).
   */
  async ofLogits(
    ids: Int32Array,
    terms: readonly LogitTerm[],
    hooks: readonly GradientHook[],
    signal?: AbortSignal,
  ): Promise<HookGradients> {
    const last = Math.max(...terms.map(({ position }) => position));
    assert(last >= 0 && last < ids.length, `no position ${last} in ${ids.length} tokens`);
    const read = ids.subarray(0, last + 1);
    const trace = await Trace.run(this.lm, { ids: read }, signal);
    const end = this.lm.config.n_layers;
    const { value, dResid } = await this.unembedding.logits(trace.resid(end), terms, signal);
    const found = await this.backward(trace, new Map([[end, dResid]]), hooks, signal);
    const gradients = new Map<string, Tensor<"float32">>();
    for (const [name, { dims, data }] of found) {
      const whole = new Float32Array((data.length / read.length) * ids.length);
      whole.set(data);
      gradients.set(name, tensor("float32", [ids.length, ...dims.slice(1)], whole));
    }
    return { value, gradients };
  }

  /**
   * Carries gradients down a trace to hook points, by TransformerLens name: `[tokens, d]`, z `[tokens, n_heads, d_head]`. Each is
   * the whole derivative, through everything that depends on the place. Stops at the lowest layer asked for.
   */
  async backward(
    trace: Trace,
    entering: EnteringGradients,
    hooks: readonly GradientHook[],
    signal?: AbortSignal,
  ): Promise<Map<string, Tensor<"float32">>> {
    for (const hook of hooks) this.lm.checkHook(hook);
    const results = new Map<string, Tensor<"float32">>();
    const lowest = Math.min(...hooks.map(({ layer }) => layer));
    assert(lowest >= trace.firstLayer, `layer ${lowest} is before the trace`);
    let dResid: Float32Array = new Float32Array(trace.tokens * this.lm.config.d_model);
    addTo(dResid, entering.get(trace.lastLayer + 1));
    for (let layer = trace.lastLayer; layer >= lowest; layer--) {
      const kinds = hooks.filter((hook) => hook.layer === layer).map(({ kind }) => kind);
      const found = await this.#throughBlock(trace, layer, { dResid, kinds, signal });
      dResid = found.get("resid_pre")!;
      addTo(dResid, entering.get(layer));
      for (const kind of kinds) {
        results.set(printHookPoint({ kind, layer }), this.#shaped(kind, found.get(kind)!));
      }
    }
    return results;
  }

  /** Frees all sessions. */
  async release(): Promise<void> {
    await this.#blocks.release();
    await this.unembedding.release();
  }

  /** One block, its rows in pieces from the last to the first: a piece adds to the gradients of the keys and values before it. */
  async #throughBlock(
    trace: Trace,
    layer: number,
    { dResid, kinds, signal }: BlockBackward,
  ): Promise<Map<GradientHookKind, Float32Array>> {
    const { d_model, n_kv_heads, d_head } = this.lm.config;
    const { tokens } = trace;
    const outputKinds = new Set<GradientHookKind>(["resid_pre", ...kinds]);
    const widthOf = (kind: GradientHookKind) => this.lm.hookWidth({ kind, layer })!;
    const found = new Map(
      [...outputKinds].map((kind) => [kind, new Float32Array(tokens * widthOf(kind))]),
    );
    const dK = new Float32Array(tokens * n_kv_heads * d_head);
    const dV = new Float32Array(dK.length);
    const step = this.lm.rowsPerRun(tokens);
    for (let from = step * Math.floor((tokens - 1) / step); from >= 0; from -= step) {
      const to = Math.min(tokens, from + step);
      const entering = [
        ["d_resid_post", dResid, [d_model]],
        ["d_k", dK, [n_kv_heads, d_head]],
        ["d_v", dV, [n_kv_heads, d_head]],
      ] as const;
      const feeds = trace.feeds(layer, from, to);
      for (const [name, all, dims] of entering) {
        const width = all.length / tokens;
        feeds[name] = rowsTensor(all.subarray(from * width, to * width), [to - from, ...dims]);
      }
      if (entering.every(([name]) => feeds[name]!.data.every((x) => x === 0))) continue;
      const outputs: GradientOutput[] = [...outputKinds];
      if (from > 0) outputs.push("past_k", "past_v");
      const out = await this.#blocks.run(layer, feeds, outputs, signal);
      addTo(dK, out.get("past_k"));
      addTo(dV, out.get("past_v"));
      for (const [kind, rows] of found) rows.set(out.get(kind)!, from * widthOf(kind));
    }
    for (const rows of found.values()) dropResidue(rows);
    return found;
  }

  #shaped(kind: GradientHookKind, rows: Float32Array): Tensor<"float32"> {
    const { n_heads, d_head } = this.lm.config;
    const width = this.lm.hookWidth({ kind, layer: 0 })!;
    const tokens = rows.length / width;
    return rowsTensor(rows, kind === "z" ? [tokens, n_heads, d_head] : [tokens, width]);
  }
}

interface BlockBackward {
  /** What flows back into the residual after the block. `[tokens, d_model]` */
  readonly dResid: Float32Array;
  readonly kinds: readonly GradientHookKind[];
  readonly signal: AbortSignal | undefined;
}

/** What the gradients of a sum of logits are asked for. */
export interface LogitMetric {
  readonly position: number;
  readonly logits: readonly { readonly id: number; readonly weight: number }[];
}

/** Gradients of Σ weight · logit at one position with regard to resid_pre of layers, `[tokens, d_model]` each. */
export async function residGradients(
  gradients: LmGradients,
  ids: Int32Array,
  { position, logits }: LogitMetric,
  layers: readonly number[],
  signal?: AbortSignal,
): Promise<Map<number, Tensor<"float32">>> {
  const terms = logits.map((logit) => ({ position, ...logit }));
  const hooks = layers.map((layer) => ({ kind: "resid_pre", layer }) as const);
  const found = (await gradients.ofLogits(ids, terms, hooks, signal)).gradients;
  return new Map(hooks.map((hook) => [hook.layer, found.get(printHookPoint(hook))!]));
}

/**
 * Masked attention weights are e^−60, not 0 (`attend`), so a token that nothing looks at gets some 1e-25 of what others get.
 * Such residue, below 1e-20 of the largest entry, becomes 0.
 */
function dropResidue(rows: Float32Array): void {
  let largest = 0;
  for (const x of rows) largest = Math.max(largest, Math.abs(x));
  const bound = largest * 1e-20;
  for (let i = 0; i < rows.length; i++) if (Math.abs(rows[i]!) < bound) rows[i] = 0;
}

/** Adds rows to the first rows of others; nothing to add is no mistake. */
function addTo(rows: Float32Array, added: Float32Array | undefined): void {
  if (added === undefined) return;
  for (let i = 0; i < added.length; i++) rows[i]! += added[i]!;
}
