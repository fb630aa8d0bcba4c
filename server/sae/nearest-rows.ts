/** Nearest latents by cosine: of decoder rows, or of encoder columns. */
import { Graph } from "../graph/graph.ts";
import { gemm, topk } from "../graph/ops/index.ts";
import { int64Tensor } from "../graph/small-tensor.ts";
import type { Device } from "../runtime/device.ts";
import { tensor } from "../tensor/tensor.ts";
import type { Parameter } from "./parameter.ts";

/** Rows and columns of one product. */
const tileRows = 512;
const tileColumns = 8192;

/** The k nearest of some rows: `[to - from, k]`, nearest first, the row itself left out; −1 behind the last. */
export interface NearestRows {
  readonly from: number;
  readonly to: number;
  readonly indices: Int32Array;
  readonly cosines: Float32Array;
}

/** Rows of a parameter, or its columns as rows, scaled to norm 1; a zero row stays one. `-> [n, d]` */
export function unitVectors(
  parameter: Parameter,
  of: "rows" | "columns",
): { vectors: Float32Array<ArrayBuffer>; n: number; d: number } {
  const [rows = 0, columns = 0] = parameter.dims;
  const values = parameter.readFloat32();
  const [n, d] = of === "rows" ? [rows, columns] : [columns, rows];
  const vectors = new Float32Array(n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      vectors[i * d + j] = of === "rows" ? values[i * d + j]! : values[j * n + i]!;
  for (let at = 0; at < vectors.length; at += d) {
    let sum = 0;
    for (let j = at; j < at + d; j++) sum += vectors[j]! ** 2;
    const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    for (let j = at; j < at + d; j++) vectors[j]! *= scale;
  }
  return { vectors, n, d };
}

/** Goes over all rows from row `from` on, some at a time. Products run on the device in tiles of bounded size. */
export async function* nearestRows(
  device: Device,
  { vectors, n, d }: { vectors: Float32Array<ArrayBuffer>; n: number; d: number },
  { k, from = 0 }: { k: number; from?: number },
  signal?: AbortSignal,
): AsyncGenerator<NearestRows> {
  const graph = new Graph("nearest");
  const a = graph.input("a", "float32", ["rows", d]);
  const b = graph.input("b", "float32", ["columns", d]);
  const count = graph.input("k", "int64", [1]);
  const { values, indices } = topk(gemm(a, b, undefined, { transB: true }), count, { kDim: "k" });
  graph.output("values", values);
  graph.output("indices", indices);
  const session = await device.load(graph, { label: "nearest latents" });
  const rows = (first: number, last: number) =>
    tensor("float32", [last - first, d], vectors.subarray(first * d, last * d));
  try {
    for (let first = from; first < n; first += tileRows) {
      const last = Math.min(n, first + tileRows);
      const found = new NearestMerge(first, last, k);
      for (let column = 0; column < n; column += tileColumns) {
        const end = Math.min(n, column + tileColumns);
        // One more than wanted: the row itself is among them.
        const wanted = Math.min(k + 1, end - column);
        const feeds = { a: rows(first, last), b: rows(column, end), k: int64Tensor([wanted]) };
        const out = await session.run(feeds, ["values", "indices"], signal);
        found.add(
          column,
          out["indices"]!.data as BigInt64Array,
          out["values"]!.data as Float32Array,
        );
      }
      yield found;
    }
  } finally {
    await session.release();
  }
}

class NearestMerge implements NearestRows {
  readonly from: number;
  readonly to: number;
  readonly indices: Int32Array;
  readonly cosines: Float32Array;
  readonly #k: number;

  constructor(from: number, to: number, k: number) {
    this.from = from;
    this.to = to;
    this.#k = k;
    this.indices = new Int32Array((to - from) * k).fill(-1);
    this.cosines = new Float32Array((to - from) * k);
  }

  add(column: number, indices: BigInt64Array, values: Float32Array): void {
    const k = this.#k;
    const width = indices.length / (this.to - this.from);
    for (let i = 0; i < indices.length; i++) {
      const row = Math.floor(i / width);
      const index = column + Number(indices[i]!);
      if (index === this.from + row) continue;
      let at = row * k + k;
      while (at > row * k && (this.indices[at - 1]! < 0 || this.cosines[at - 1]! < values[i]!))
        at--;
      if (at === row * k + k) continue;
      this.indices.copyWithin(at + 1, at, row * k + k - 1);
      this.cosines.copyWithin(at + 1, at, row * k + k - 1);
      this.indices[at] = index;
      this.cosines[at] = values[i]!;
    }
  }
}
