/**
 * Cosines between the rows of two decoders, in pieces: which latent of one SAE points where latents of another do. Neither
 * decoder need fit into memory, and each piece is short, so that what is urgent gets in between.
 */
import { Graph } from "../graph/graph.ts";
import { argmax, cast, gemm, greater, reduceMax, reduceSum, topk } from "../graph/ops/index.ts";
import type { Device, Session } from "../runtime/device.ts";
import type { Sae } from "../sae/sae.ts";
import { unitRows } from "../sae/unit-rows.ts";
import { tensor } from "../tensor/tensor.ts";
import { differentWidths } from "./errors.ts";
import type { Pace } from "./pace.ts";

/** Directions that are read by range. */
export interface Directions {
  readonly count: number;
  readonly width: number;
  /** Rows [from, to), each of norm 1 (or all zeros). `-> [to − from, width]` */
  read(from: number, to: number): Float32Array<ArrayBuffer>;
}

/** Of each row of `a` and of `b` the most similar one of the other side, and the pairs above the threshold. */
export interface Cosines {
  /** For each row of `a`: the largest cosine and the row of `b` that has it. */
  readonly best: Float32Array;
  readonly bestRow: Int32Array;
  /** The same for each row of `b`. */
  readonly bestBack: Float32Array;
  readonly bestBackRow: Int32Array;
  /** Row r of `a` owns pairs offsets[r] … offsets[r + 1] − 1, largest cosine first. */
  readonly offsets: Int32Array;
  readonly rows: Int32Array;
  readonly cosines: Float32Array;
}

/** Rows of `b` in a piece, and multiplications of one run. */
const rowsOfB = 1024;
const workOfRun = 5e8;
/** Pairs of a row that the first run brings along. */
const firstGuess = 8;

/** The decoder rows of an SAE as directions. `[d_sae, d_out]` */
export function decoderDirections(sae: Sae): Directions {
  const { d_sae, d_out } = sae.config;
  return {
    count: d_sae,
    width: d_out,
    read: (from, to) => unitRows(sae.decoderRows(range(from, to)), d_out),
  };
}

/** Throws if the directions lie in different spaces; `id` names the other side's SAE. */
export function requireSameSpace(a: Directions, b: Directions, id: string): void {
  if (a.width !== b.width) throw differentWidths(a.width, id, b.width);
}

/** Compares all rows of `a` with all rows of `b`; pairs are those with a cosine above `threshold`. */
export async function cosinesBetween(
  a: Directions,
  b: Directions,
  { device, threshold, pace }: { device: Device; threshold: number; pace: Pace },
): Promise<Cosines> {
  const session = await device.load(productGraph(a.width), { label: "cosines of decoder rows" });
  try {
    const table = new Table(a.count, b.count);
    const step = Math.max(16, Math.min(4096, Math.floor(workOfRun / (rowsOfB * a.width))));
    for (let from = 0; from < a.count; from += step) {
      const to = Math.min(a.count, from + step);
      const rows = a.read(from, to);
      for (let first = 0; first < b.count; first += rowsOfB) {
        const last = Math.min(b.count, first + rowsOfB);
        await pace.step(
          async () => {
            const product = new Product(session, {
              a: tensor("float32", [to - from, a.width], rows),
              b: tensor("float32", [last - first, b.width], b.read(first, last)),
            });
            table.add(await product.run(threshold, pace.signal), from, first);
          },
          (from * b.count + (to - from) * last) / (a.count * b.count),
        );
      }
    }
    return table.finish();
  } finally {
    await session.release();
  }
}

/** Inputs a [n, width] and b [m, width], `threshold` and `k`; the largest k of each row, and the largest of each column. */
function productGraph(width: number): Graph {
  const graph = new Graph("cosines");
  const a = graph.input("a", "float32", ["n", width]);
  const b = graph.input("b", "float32", ["m", width]);
  const threshold = graph.input("threshold", "float32", [1]);
  const k = graph.input("k", "int64", [1]);
  const cosines = gemm(a, b, undefined, { transB: true });
  const { values, indices } = topk(cosines, k);
  graph.output("values", values);
  graph.output("indices", indices);
  graph.output("count", reduceSum(cast(greater(cosines, threshold), "float32"), [1]));
  graph.output("back", reduceMax(cosines, [0]));
  graph.output("backRow", argmax(cosines, 0));
  return graph;
}

interface Found {
  readonly k: number;
  readonly values: Float32Array;
  readonly indices: BigInt64Array;
  readonly count: Float32Array;
  readonly back: Float32Array;
  readonly backRow: BigInt64Array;
}

/** One piece of the table of cosines. */
class Product {
  readonly #session: Session;
  readonly #rows: Record<"a" | "b", ReturnType<typeof tensor<"float32">>>;

  constructor(session: Session, rows: Record<"a" | "b", ReturnType<typeof tensor<"float32">>>) {
    this.#session = session;
    this.#rows = rows;
  }

  /** Runs once, and again with a larger k where a row has more pairs than fit. */
  async run(threshold: number, signal?: AbortSignal): Promise<Found> {
    const m = this.#rows.b.dims[0] ?? 0;
    const first = await this.#select(Math.min(firstGuess, m), threshold, signal);
    const most = first.count.reduce((max, count) => Math.max(max, count), 0);
    return most <= first.k ? first : this.#select(most, threshold, signal);
  }

  async #select(k: number, threshold: number, signal?: AbortSignal): Promise<Found> {
    const out = await this.#session.run(
      {
        ...this.#rows,
        threshold: tensor("float32", [1], Float32Array.of(threshold)),
        k: tensor("int64", [1], BigInt64Array.of(BigInt(k))),
      },
      ["values", "indices", "count", "back", "backRow"],
      signal,
    );
    return {
      k,
      values: out["values"]!.data as Float32Array,
      indices: out["indices"]!.data as BigInt64Array,
      count: out["count"]!.data as Float32Array,
      back: out["back"]!.data as Float32Array,
      backRow: out["backRow"]!.data as BigInt64Array,
    };
  }
}

/** What pieces add up to. */
class Table {
  readonly #best: Float32Array;
  readonly #bestRow: Int32Array;
  readonly #bestBack: Float32Array;
  readonly #bestBackRow: Int32Array;
  readonly #pairs: { row: number; cosine: number }[][];

  constructor(nA: number, nB: number) {
    this.#best = new Float32Array(nA).fill(-2);
    this.#bestRow = new Int32Array(nA);
    this.#bestBack = new Float32Array(nB).fill(-2);
    this.#bestBackRow = new Int32Array(nB);
    this.#pairs = Array.from({ length: nA }, () => []);
  }

  add({ k, values, indices, count, back, backRow }: Found, fromA: number, fromB: number): void {
    for (const [row, pairs] of count.entries()) {
      const a = fromA + row;
      if (values[row * k]! > this.#best[a]!) {
        this.#best[a] = values[row * k]!;
        this.#bestRow[a] = fromB + Number(indices[row * k]);
      }
      for (let at = row * k; at < row * k + pairs; at++)
        this.#pairs[a]!.push({ row: fromB + Number(indices[at]), cosine: values[at]! });
    }
    for (const [row, cosine] of back.entries())
      if (cosine > this.#bestBack[fromB + row]!) {
        this.#bestBack[fromB + row] = cosine;
        this.#bestBackRow[fromB + row] = fromA + Number(backRow[row]);
      }
  }

  finish(): Cosines {
    const offsets = new Int32Array(this.#pairs.length + 1);
    for (const [row, pairs] of this.#pairs.entries()) {
      pairs.sort((x, y) => y.cosine - x.cosine || x.row - y.row);
      offsets[row + 1] = offsets[row]! + pairs.length;
    }
    const all = this.#pairs.flat();
    return {
      best: this.#best,
      bestRow: this.#bestRow,
      bestBack: this.#bestBack,
      bestBackRow: this.#bestBackRow,
      offsets,
      rows: Int32Array.from(all, ({ row }) => row),
      cosines: Float32Array.from(all, ({ cosine }) => cosine),
    };
  }
}

/** from, from + 1, … to − 1. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
