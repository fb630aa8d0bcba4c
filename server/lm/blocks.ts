/** The chain of block sessions: loaded when first needed, one graph per layer with symbolic lengths. */
import type { Graph } from "../graph/graph.ts";
import type { Device, Session } from "../runtime/device.ts";
import { activationBytes, graphWeightBytes } from "../runtime/memory-plan.ts";
import { type StoredTensor, sizeOf, type Tensor } from "../tensor/tensor.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { BlockBuilder, type WeightSource } from "./block-builder.ts";
import { nonFiniteOutput } from "./errors.ts";
import { type BlockHookKind, blockHookKinds } from "./hook-points.ts";
import type { LmWeights } from "./lm-weights.ts";
import type { Floats, Precision } from "./precision.ts";

export { rowsTensor } from "./precision.ts";

/** Everything a block computes, by the name of its output. */
export type BlockOutput = Exclude<BlockHookKind, "resid_pre"> | "k" | "v";

/** A block's graph, before it is loaded. */
interface BuiltBlock {
  readonly builder: BlockBuilder;
  /** Output that holds each hook point; kinds that are the same tensor share one. */
  readonly outputOf: ReadonlyMap<BlockOutput, BlockOutput>;
}

/** Outputs that later runs take in, and which therefore keep the precision. */
const carried: ReadonlySet<BlockOutput> = new Set(["resid_post", "k", "v"]);

interface LoadedBlock {
  readonly session: Session;
  readonly outputOf: ReadonlyMap<BlockOutput, BlockOutput>;
  /** Weights to look through if the first run gives NaN; undefined after it gave none. */
  unproved: readonly string[] | undefined;
}

/** What blocks are made of. */
export interface BlocksParts {
  readonly architecture: Architecture;
  readonly named: LmWeights;
  readonly device: Device;
  readonly precision: Precision;
}

/** The blocks of one model on one device. */
export class Blocks {
  readonly #model: string;
  readonly #parts: BlocksParts;
  readonly #loaded = new Map<number, Promise<LoadedBlock>>();
  #bytes = 0;

  constructor(model: string, parts: BlocksParts) {
    this.#model = model;
    this.#parts = parts;
  }

  /** Bytes of one block's weights in its session, and of its intermediate values in a run of these lengths. */
  plan(lengths: { tokens: number; past: number }): { weights: number; activations: number } {
    const { graph } = this.#build(0, placeholder).builder;
    return { weights: this.#bytesOf(graph), activations: activationBytes(graph, lengths) };
  }

  /** Throws for the first weight of any layer that is missing or has another shape than the config says. */
  checkShapes(): void {
    for (let layer = 0; layer < this.#parts.architecture.config.n_layers; layer++) {
      this.#build(layer, (name, dims) => {
        this.#parts.named.check(name, dims);
        return placeholder(name, dims);
      });
    }
  }

  /** Runs one block on new rows; `feeds` are its inputs, `resid` `[tokens, d_model]` among them. */
  async run(
    layer: number,
    feeds: Record<string, Tensor>,
    outputs: readonly BlockOutput[],
    signal?: AbortSignal,
  ): Promise<Map<BlockOutput, Tensor>> {
    signal?.throwIfAborted();
    const block = await this.#load(layer);
    const fetches = [...new Set(outputs.map((output) => block.outputOf.get(output) ?? output))];
    const results = await block.session.run(feeds, fetches, signal);
    const resid = results["resid_post"];
    if (block.unproved !== undefined && resid !== undefined) {
      this.#prove(layer, resid, block.unproved);
      block.unproved = undefined;
    }
    return new Map(
      outputs.map((output) => [output, results[block.outputOf.get(output) ?? output]!]),
    );
  }

  /** Releases all sessions. */
  async release(): Promise<void> {
    const loaded = [...this.#loaded.values()];
    this.#loaded.clear();
    this.#bytes = 0;
    for (const block of loaded) await (await block).session.release();
    this.#parts.device.ledger.release(this.ledgerLine);
  }

  /** The blocks' line in the plan of memory. */
  get ledgerLine(): string {
    return `${this.#model}: blocks`;
  }

  async #load(layer: number): Promise<LoadedBlock> {
    const known = this.#loaded.get(layer);
    if (known !== undefined) return known;
    const loading = this.#open(layer);
    this.#loaded.set(layer, loading);
    try {
      return await loading;
    } catch (error) {
      this.#loaded.delete(layer);
      throw error;
    }
  }

  async #open(layer: number): Promise<LoadedBlock> {
    const { builder, outputOf } = this.#build(layer, (name, dims) => {
      const source = this.#parts.named.source(name, dims);
      // Norms and biases are small and are where a damaged or diverged file shows first.
      if (dims.length === 1) this.#parts.named.checkFinite(name);
      return source;
    });
    const bytes = this.#bytesOf(builder.graph);
    this.#parts.device.ledger.require([{ what: this.ledgerLine, bytes: this.#bytes + bytes }]);
    const label = `${this.#model} block ${layer}`;
    const session = await this.#parts.device.load(builder.graph, { label });
    this.#bytes += bytes;
    this.#parts.device.ledger.plan(this.ledgerLine, this.#bytes);
    return { session, outputOf, unproved: builder.weightNames };
  }

  /** Weights as f32 or f64. */
  #bytesOf(graph: Graph): number {
    return graphWeightBytes(graph) * (this.#parts.precision === "float64" ? 2 : 1);
  }

  #build(layer: number, source: WeightSource): BuiltBlock {
    const { config } = this.#parts.architecture;
    const { precision } = this.#parts;
    const builder = new BlockBuilder(`block${layer}`, config, source, precision);
    const resid = builder.input("resid", ["tokens", config.d_model]);
    const values = this.#parts.architecture.block(builder, resid, layer);
    const outputOf = new Map<BlockOutput, BlockOutput>();
    const first = new Map<unknown, BlockOutput>();
    for (const kind of ["k", "v", ...blockHookKinds] as const) {
      if (kind === "resid_pre") continue;
      const value = values[kind];
      if (value === undefined) continue;
      const same = first.get(value);
      if (same === undefined) {
        first.set(value, kind);
        builder.output(kind, value, carried.has(kind) ? precision : "float32");
      }
      outputOf.set(kind, same ?? kind);
    }
    return { builder, outputOf };
  }

  #prove(layer: number, resid: Tensor, weightNames: readonly string[]): void {
    const index = (resid.data as Floats).findIndex((x) => !Number.isFinite(x));
    if (index < 0) return;
    for (const name of weightNames) this.#parts.named.checkFinite(name);
    throw nonFiniteOutput(this.#model, layer, Math.floor(index / (resid.dims[1] ?? 1)));
  }
}

/** Stands for a weight in a graph that is built for its shapes only. */
function placeholder(_name: string, dims: readonly number[]): StoredTensor {
  return { file: "", offset: 0, byteLength: sizeOf(dims) * 4, dtype: "float32", dims };
}
