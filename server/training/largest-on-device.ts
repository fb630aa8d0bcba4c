/**
 * The k-th largest of rows, or of a whole batch, as a graph for GPUs. Everything that is at least as large is kept, so of
 * numbers that equal the k-th all are.
 *
 * ONNX Runtime's TopK for WebGPU sorts up to 2,048 numbers in a workgroup's own memory, in one pass over them; longer rows
 * it sorts in global memory, in log²(n)/2 passes, 105 for 9,216 numbers (onnxruntime 1.30, providers/webgpu/math/top_k.cc).
 * So rows are cut into stretches first: a row's k largest are among the k largest of its stretches.
 */
import type { Value } from "../graph/graph.ts";
import {
  cast,
  div,
  greater,
  neg,
  reduceMax,
  reduceSum,
  reshape,
  topk,
  where,
} from "../graph/ops/index.ts";

/** As many numbers TopK sorts in one pass. */
const sortedAtOnce = 2048;
/** Larger than every activation; not infinite, because shaders need not keep infinities. */
const tooLarge = 3e38;

/** Into how many equal stretches of at most 2,048 a row is cut; 1 if it has no such divisor. */
export function stretchesOf(width: number): number {
  for (let n = Math.ceil(width / sortedAtOnce); n <= width / 32; n++) if (width % n === 0) return n;
  return 1;
}

/** The k largest of each row, unordered among themselves. `[rows, n] -> [rows, k]` */
export function largestOfRows(x: Value, k: number): Value {
  const width = x.dims[1] as number;
  const stretches = stretchesOf(width);
  const candidates = Math.min(k, width / stretches);
  if (stretches === 1 || stretches * candidates > width / 2) return topk(x, k).values;
  const cut = reshape(x, [-1, width / stretches]);
  const rows = reshape(topk(cut, candidates).values, [-1, stretches * candidates]);
  return topk(rows, k).values;
}

/** What a choice among a whole batch comes to. One number each, `[1]`. */
export interface BatchLargest {
  /** Smallest of the largest. */
  readonly least: Value;
  /**
   * Smallest candidate of a stretch, of the stretch where it is largest: no number that was left out is larger. If it is
   * below `least`, or not above 0, the choice is exact. Undefined where nothing was left out.
   */
  readonly overlooked: Value | undefined;
  /** Smallest positive of the largest; 3e38 if none is. */
  readonly smallest: Value;
}

/**
 * The `count` largest of a whole batch, among the largest `candidates` of each stretch. `[batch, n]`; `count`: int64 `[1]`
 */
export function largestOfBatch(x: Value, count: Value, candidates: number): BatchLargest {
  const width = x.dims[1] as number;
  const length = width / stretchesOf(width);
  const all = candidates >= length;
  const values = all ? x : topk(reshape(x, [-1, length]), candidates).values;
  const largest = topk(reshape(values, [-1]), count, { kDim: "kept" }).values;
  return {
    least: leastOf(largest, 0),
    overlooked: all ? undefined : reduceMax(leastOf(values, 1), [0, 1]),
    smallest: leastOf(where(greater(largest, 0), largest, tooLarge), 0),
  };
}

/** Mean over rows of the smallest positive number; rows without one are left out, and NaN is the mean of none. `[rows, k] -> [1]` */
export function meanSmallestOfRows(x: Value): Value {
  const least = leastOf(where(greater(x, 0), x, tooLarge), 1);
  const isAny = greater(tooLarge, least);
  return div(
    reduceSum(where(isAny, least, 0), [0], true),
    reduceSum(cast(isAny, x.dtype), [0], true),
  );
}

/** Smallest along an axis, which is kept with length 1. */
function leastOf(x: Value, axis: number): Value {
  return neg(reduceMax(neg(x), [axis], true));
}

/** Smallest of each row. `[rows, n] -> [rows, 1]` */
export function leastOfRows(x: Value): Value {
  return leastOf(x, 1);
}
