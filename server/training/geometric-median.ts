/**
 * The point with the smallest sum of distances to all rows, by Weiszfeld's iteration from their mean. `[n, d] -> [d]`
 *
 * dictionary_learning@0.1.0 trainers/top_k.py `geometric_median`: at most 100 iterations, done when the point moves less
 * than 1e-5. Where the point falls on a row, whose weight is then infinite, it stays.
 */
export function geometricMedian(
  rows: Float32Array,
  d: number,
  { maxIterations = 100, tolerance = 1e-5 } = {},
): Float32Array {
  const n = rows.length / d;
  let point = meanRow(rows, d);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const next = new Float64Array(d);
    let total = 0;
    for (let row = 0; row < n; row++) {
      const weight = 1 / distance(rows, row * d, point);
      if (!Number.isFinite(weight)) return Float32Array.from(point);
      total += weight;
      for (let i = 0; i < d; i++) next[i]! += weight * rows[row * d + i]!;
    }
    let moved = 0;
    for (let i = 0; i < d; i++) {
      next[i]! /= total;
      moved += (next[i]! - point[i]!) ** 2;
    }
    point = next;
    if (Math.sqrt(moved) < tolerance) break;
  }
  return Float32Array.from(point);
}

/** Mean of the rows, in double precision. `[n, d] -> [d]` */
export function meanRow(rows: Float32Array, d: number): Float64Array {
  const mean = new Float64Array(d);
  const n = rows.length / d;
  for (let row = 0; row < n; row++) for (let i = 0; i < d; i++) mean[i]! += rows[row * d + i]!;
  for (let i = 0; i < d; i++) mean[i]! /= n;
  return mean;
}

function distance(rows: Float32Array, at: number, point: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < point.length; i++) sum += (rows[at + i]! - point[i]!) ** 2;
  return Math.sqrt(sum);
}
