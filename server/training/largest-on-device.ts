/**
 * The k-th largest of rows, or of a whole batch, as a graph for GPUs. Everything that is at least as large is kept, so of
 * numbers that equal the k-th all are.
 * Both are looked for in stretches of rows (`server/graph/stretches.ts` says why).
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
import { stretchesOf } from "../graph/stretches.ts";

/** Larger than every activation; not infinite, because shaders need not keep infinities. */
const tooLarge = 3e38;

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
