/**
 * Logistic regression with the objective of scikit-learn's `LogisticRegression` (penalty l2):
 * ½‖w‖² + C·Σ_rows s_row · loss, the intercept without penalty, `balanced` weights s = n / (2·count of the row's class).
 * By Newton's method, run further than scikit-learn's tolerance; many labels on wide rows: `linear-fit.ts`.
 */
import { sigmoid } from "./scores.ts";

/** Rows of the same width. */
export interface DenseRows {
  readonly nRows: number;
  readonly d: number;
  /** `[rows, d]` */
  readonly x: Float32Array;
}

/** Direction and bias of one label. */
export interface BinaryProbe {
  /** `[d]` */
  readonly weights: Float64Array;
  readonly bias: number;
  readonly iterations: number;
}

export interface LogisticOptions {
  /** Inverse strength of the penalty. */
  readonly C?: number;
  /** Both classes count the same. */
  readonly balanced?: boolean;
  readonly maxIterations?: number;
  /** The largest partial derivative, over the number of rows, at which it is done. */
  readonly tolerance?: number;
}

/** Fits one yes/no label; for few columns (the system of d + 1 equations is solved directly). `[rows, d], [rows] -> [d]` */
export function fitBinary(
  rows: DenseRows,
  y: ArrayLike<number>,
  { C = 1, balanced = false, maxIterations = 100, tolerance = 1e-9 }: LogisticOptions = {},
): BinaryProbe {
  const { nRows, d } = rows;
  const size = d + 1;
  const weightOf = classWeights(y, balanced);
  let theta = new Float64Array(size);
  let { loss, gradient, hessian } = newtonTerms(rows, { y, theta, weightOf, C });
  let iterations = 0;
  while (iterations < maxIterations && largest(gradient) / nRows > tolerance) {
    iterations++;
    const step = solve(hessian, gradient, size);
    let scale = 1;
    // Newton's steps may overshoot where the classes are far apart.
    for (;;) {
      const next = theta.map((value, i) => value - scale * step[i]!);
      const terms = newtonTerms(rows, { y, theta: next, weightOf, C });
      if (terms.loss <= loss || scale < 1e-6) {
        theta = next;
        ({ loss, gradient, hessian } = terms);
        break;
      }
      scale /= 2;
    }
    if (scale < 1e-6) break;
  }
  return { weights: theta.slice(0, d), bias: theta[d]!, iterations };
}

function classWeights(y: ArrayLike<number>, balanced: boolean): readonly [number, number] {
  if (!balanced) return [1, 1];
  let positives = 0;
  for (let row = 0; row < y.length; row++) positives += y[row]!;
  const half = y.length / 2;
  return [half / Math.max(1, y.length - positives), half / Math.max(1, positives)];
}

interface NewtonPlace {
  readonly y: ArrayLike<number>;
  readonly theta: Float64Array;
  readonly weightOf: readonly [number, number];
  readonly C: number;
}

/** The objective with its first and second derivatives. */
function newtonTerms(
  { nRows, d, x }: DenseRows,
  { y, theta, weightOf, C }: NewtonPlace,
): { loss: number; gradient: Float64Array; hessian: Float64Array } {
  const size = d + 1;
  const gradient = new Float64Array(size);
  const hessian = new Float64Array(size * size);
  const row = new Float64Array(size).fill(1);
  let loss = 0;
  for (let at = 0; at < nRows; at++) {
    let z = theta[d]!;
    for (let i = 0; i < d; i++) {
      row[i] = x[at * d + i]!;
      z += row[i]! * theta[i]!;
    }
    const yes = y[at] === 1;
    const weight = C * weightOf[yes ? 1 : 0];
    const p = sigmoid(z);
    loss += weight * (Math.max(yes ? -z : z, 0) + Math.log1p(Math.exp(-Math.abs(z))));
    const slope = weight * (yes ? p - 1 : p);
    const curve = weight * p * (1 - p);
    for (let i = 0; i < size; i++) {
      if (row[i] === 0) continue;
      gradient[i]! += slope * row[i]!;
      const factor = curve * row[i]!;
      for (let j = 0; j <= i; j++) hessian[i * size + j]! += factor * row[j]!;
    }
  }
  for (let i = 0; i < d; i++) {
    loss += theta[i]! ** 2 / 2;
    gradient[i]! += theta[i]!;
    hessian[i * size + i]! += 1;
  }
  return { loss, gradient, hessian };
}

/** H·step = g by Cholesky's decomposition; H symmetric, its lower half given. */
function solve(hessian: Float64Array, gradient: Float64Array, n: number): Float64Array {
  const L = hessian.slice();
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = L[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= L[i * n + k]! * L[j * n + k]!;
      L[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / L[j * n + j]!;
    }
  const step = gradient.slice();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) step[i]! -= L[i * n + k]! * step[k]!;
    step[i]! /= L[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) step[i]! -= L[k * n + i]! * step[k]!;
    step[i]! /= L[i * n + i]!;
  }
  return step;
}

function largest(values: Float64Array): number {
  return values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
}
