/** Which latents a TopK-like architecture keeps: lists of active latents, row by row, in the parameters' arena. */
import { Graph, type Value } from "../graph/graph.ts";
import { add, gemm, mul } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { type Arena, arenaBytes } from "../tensor/arena.ts";
import type { SparseRows } from "../tensor/kernels.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Parameters } from "./parameters.ts";

/** What a selector works on: the encoder's input less b_dec, and norms of W_dec's rows where they count. */
export interface SelectorInput {
  readonly rows: number;
  /** `[rows, d_in]`, in the arena. */
  readonly x: Float32Array;
  /** `[d_sae]`; undefined where activations are not in units of norms. */
  readonly norms: Float32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The active latents of a batch. `values` are what the decoder multiplies rows of W_dec by. */
export interface Selection extends SparseRows {
  readonly entries: number;
  /** Smallest positive activation of a row or of the batch, for the threshold; in units of norms where they count. */
  readonly smallest: number | undefined;
}

/** Chooses active latents. */
export interface Selector {
  /** Entries that a batch of so many rows can have. */
  capacity(rows: number): number;
  place(lists: EntryLists): void;
  select(input: SelectorInput): Promise<Selection>;
  release(): Promise<void>;
}

/** Room for the entries of a batch. */
export interface EntryLists {
  /** `[rows + 1]`: where each row's entries begin; the last is where they end. */
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** Bytes of `entryLists` in an arena. */
export function entryListBytes(rows: number, capacity: number): number {
  return arenaBytes(rows + 1) + 2 * arenaBytes(capacity);
}

/** Lists in an arena. */
export function entryLists(arena: Arena, rows: number, capacity: number): EntryLists {
  return {
    offsets: arena.int32(rows + 1),
    columns: arena.int32(capacity),
    values: arena.float32(capacity),
  };
}

/** The lists as sparse rows. */
export function sparseRows({ offsets, columns, values }: EntryLists, rows: number): SparseRows {
  return { begin: offsets.subarray(0, rows), end: offsets.subarray(1, rows + 1), columns, values };
}

/**
 * Bytes of dense pre-activations that one run may make. Beyond 32 MiB memory is given back to the system after each run
 * and fetched page by page for the next: 2048 rows of 9216 latents took 355 cpu-ms in one run, 283 in four.
 */
const mostDenseBytes = 24 * 2 ** 20;

/** A graph from x (less b_dec) to scores, with the inputs that it is fed. */
export class ScoreGraph {
  readonly graph: Graph;
  readonly d_sae: number;
  /** x·W_enc. `[batch, d_sae]` */
  readonly products: Value;
  readonly #parameters: Parameters;
  readonly #tied: boolean;
  readonly #d_in: number;

  constructor(label: string, config: CommonConfig, parameters: Parameters) {
    const { d_in, d_sae } = config;
    this.graph = new Graph(label);
    this.d_sae = d_sae;
    this.#d_in = d_in;
    this.#parameters = parameters;
    this.#tied = config.tied;
    const x = this.graph.input("x", "float32", ["batch", d_in]);
    const W_enc = this.graph.input("W_enc", "float32", [d_sae, d_in]);
    this.products = gemm(x, W_enc, undefined, { transB: true });
  }

  /** Pre-activations, with b_enc fed as `b_enc`; times a vector fed as `norms` if they are rescaled. `[batch, d_sae]` */
  scores(rescaled: boolean): Value {
    const vector = (name: string) => this.graph.input(name, "float32", [this.d_sae]);
    const preActs = add(this.products, vector("b_enc"));
    return rescaled ? mul(preActs, vector("norms")) : preActs;
  }

  /**
   * Runs all rows in pieces of bounded size, in order. `feeds` are those beside x and W_enc, asked for before each piece;
   * `take` gets each piece's first row, row count and outputs, and ends it all by returning false.
   */
  async run(
    session: Session,
    { rows, x, signal }: SelectorInput,
    { feeds, take, firstRows = rows }: PieceWork,
  ): Promise<void> {
    const W_enc = this.#parameters.feed(this.#tied ? "W_dec" : "W_enc");
    const pieces = Math.ceil((4 * rows * this.d_sae) / mostDenseBytes);
    const size = Math.ceil(rows / pieces);
    const fetches = [...this.graph.outputs.keys()];
    let from = 0;
    while (from < rows) {
      const count = Math.min(from === 0 ? Math.min(size, firstRows) : size, rows - from);
      const piece = x.subarray(from * this.#d_in, (from + count) * this.#d_in);
      const fed = { W_enc, ...feeds(), x: tensor("float32", [count, this.#d_in], piece) };
      if (take(from, count, await session.run(fed, fetches, signal)) === false) return;
      from += count;
    }
  }
}

/** What is done with the pieces of a batch. */
export interface PieceWork {
  /** Rows of the first piece, if it is to be smaller than the others. */
  readonly firstRows?: number;
  readonly feeds: () => Readonly<Record<string, Tensor>>;
  readonly take: (
    from: number,
    count: number,
    out: Readonly<Record<string, Tensor>>,
  ) => boolean | void;
}

/** int64 numbers that are known to lie below 2^32: their low words, every second element. Node runs on little-endian machines only. */
export function lowWords({ data }: Tensor): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, 2 * data.length);
}
