/** The backward sessions of one model's blocks: each recomputes its block from the residual and carries gradients through it. */
import { backward } from "../graph/gradients.ts";
import type { Value } from "../graph/graph.ts";
import type { Session } from "../runtime/device.ts";
import { graphWeightBytes } from "../runtime/memory-plan.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { BlockBuilder } from "./block-builder.ts";
import { type BlockHookKind, blockHookKinds } from "./hook-points.ts";
import type { LanguageModel } from "./language-model.ts";

/** Kinds of hook point inside a block whose gradients can be read; they have one row per token. */
export type GradientHookKind = Exclude<BlockHookKind, "pattern">;

/** What a backward run of a block returns. */
export type GradientOutput = GradientHookKind | "past_k" | "past_v";

interface LoadedGradientBlock {
  readonly session: Session;
  readonly bytes: number;
  /** Output that holds each gradient; hook points that are the same tensor share one. */
  readonly outputOf: ReadonlyMap<GradientOutput, string>;
}

/** How backward sessions hold weights. */
export interface GradientOptions {
  /**
   * Repack weights for speed, once for the way forward and once for the way back. 30 blocks of SmolLM2 on 128 tokens: 1.00 s of
   * one thread and 760 MB with, 1.28 s and 410 MB without (nothing but file pages where the file has f32). Default: without.
   */
  readonly prepack?: boolean;
}

/**
 * Backward sessions, loaded when first needed. They stay while the device's memory budget has room; then the one that was not
 * used for longest goes.
 */
export class GradientBlocks {
  readonly #lm: LanguageModel;
  readonly #prepack: boolean;
  /** In the order of their last use. */
  readonly #loaded = new Map<number, LoadedGradientBlock>();

  constructor(lm: LanguageModel, { prepack = false }: GradientOptions = {}) {
    this.#lm = lm;
    this.#prepack = prepack;
  }

  /**
   * Carries gradients through one block on the rows [from, to) of a sequence. Feeds: what the forward block takes, and `d_resid_post`
   * `[tokens, d_model]`, `d_k`, `d_v` `[tokens, n_kv_heads, d_head]`, what flows back into its residual and its new rows
   * of the cache. A gradient that is asked for has its hook point's rows; `past_k` and `past_v` are `[past, n_kv_heads, d_head]`.
   */
  async run(
    layer: number,
    feeds: Record<string, Tensor>,
    outputs: readonly GradientOutput[],
    signal?: AbortSignal,
  ): Promise<Map<GradientOutput, Float32Array>> {
    signal?.throwIfAborted();
    const { session, outputOf } = await this.#load(layer);
    const names = outputs.map((output) => outputOf.get(output)!);
    const results = await session.run(feeds, [...new Set(names)], signal);
    return new Map(outputs.map((output, i) => [output, results[names[i]!]!.data as Float32Array]));
  }

  /** Releases all sessions. */
  async release(): Promise<void> {
    for (const layer of this.#loaded.keys()) await this.#drop(layer);
  }

  get #ledgerLine(): string {
    return `${this.#lm.id}: backward blocks`;
  }

  get #bytes(): number {
    return [...this.#loaded.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #load(layer: number): Promise<LoadedGradientBlock> {
    const known = this.#loaded.get(layer);
    if (known !== undefined) {
      this.#loaded.delete(layer);
      this.#loaded.set(layer, known);
      return known;
    }
    const { builder, outputOf } = this.#build(layer);
    const bytes = graphWeightBytes(builder.graph) * (this.#prepack ? 2 : 1);
    await this.#makeRoom(bytes);
    const label = `${this.#lm.id} backward block ${layer}`;
    const session = await this.#lm.device.load(builder.graph, {
      label,
      prepack: this.#prepack,
    });
    const loaded = { session, bytes, outputOf };
    this.#loaded.set(layer, loaded);
    this.#lm.device.ledger.plan(this.#ledgerLine, this.#bytes);
    return loaded;
  }

  /** Drops sessions until so many bytes fit; throws the table of what is planned if they do not even then. */
  async #makeRoom(bytes: number): Promise<void> {
    const { ledger } = this.#lm.device;
    for (const layer of this.#loaded.keys()) {
      if (ledger.plannedBytes + bytes <= ledger.budget) break;
      await this.#drop(layer);
    }
    ledger.require([{ what: this.#ledgerLine, bytes: this.#bytes + bytes }]);
  }

  async #drop(layer: number): Promise<void> {
    const { session } = this.#loaded.get(layer)!;
    this.#loaded.delete(layer);
    await session.release();
    const { ledger } = this.#lm.device;
    if (this.#loaded.size > 0) ledger.plan(this.#ledgerLine, this.#bytes);
    else ledger.release(this.#ledgerLine);
  }

  #build(layer: number): { builder: BlockBuilder; outputOf: Map<GradientOutput, string> } {
    const { config, architecture, named } = this.#lm;
    const { d_model, n_kv_heads, d_head } = config;
    const builder = new BlockBuilder(`backward${layer}`, config, (name, dims) =>
      named.source(name, dims),
    );
    const { graph } = builder;
    const resid = graph.input("resid", "float32", ["tokens", d_model]);
    const values = architecture.block(builder, resid, layer);
    const heads = ["tokens", n_kv_heads, d_head];
    const cotangents = [
      {
        value: values.resid_post,
        dy: graph.input("d_resid_post", "float32", ["tokens", d_model]),
      },
      { value: values.k, dy: graph.input("d_k", "float32", heads) },
      { value: values.v, dy: graph.input("d_v", "float32", heads) },
    ];
    const input = (name: string) => graph.inputs.find((value) => value.name === name)!;
    const wrt = new Map<GradientOutput, Value>([
      ["past_k", input("past_k")],
      ["past_v", input("past_v")],
    ]);
    for (const kind of blockHookKinds) {
      const value = kind === "resid_pre" ? resid : values[kind];
      if (kind !== "pattern" && value !== undefined) wrt.set(kind, value);
    }
    const found = [...new Set(wrt.values())];
    const gradients = backward(cotangents, found);
    const outputOf = new Map<GradientOutput, string>();
    for (const [output, value] of wrt) {
      const first = [...wrt].find(([, other]) => other === value)![0];
      outputOf.set(output, `d_${first}_out`);
      if (first === output) graph.output(`d_${first}_out`, gradients[found.indexOf(value)]!);
    }
    return { builder, outputOf };
  }
}
