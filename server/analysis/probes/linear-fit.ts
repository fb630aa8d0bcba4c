/**
 * Logistic regression of many labels on wide rows by L-BFGS: multinomial, or one-vs-rest. The objective is scikit-learn's,
 * ½‖w‖² + C·Σ loss with the intercepts free, over n·C so that its size does not hang on the number of rows.
 */
import { minimize } from "./lbfgs.ts";
import type { LinearProbe, RowLabels } from "./linear-probe.ts";
import { openProducts } from "./products.ts";
import { sigmoid } from "./scores.ts";

export interface LinearFitOptions {
  /** Softmax over the labels of rows that have exactly one, or every label for itself. */
  readonly loss: "multinomial" | "one-vs-rest";
  /** Inverse strength of the penalty. */
  readonly C: number;
  /** Fits on rows with mean 0 and deviation 1 in every column, and gives the probe of the rows as they are. */
  readonly standardize?: boolean;
  readonly maxIterations?: number;
  /** The largest partial derivative at which it is done. */
  readonly tolerance?: number;
}

/** Fits a probe. `[rows, d], [rows, labels] -> [labels, d]` */
export function fitLinearProbe(
  { d, x }: { readonly d: number; readonly x: Float32Array },
  labels: RowLabels,
  { loss, C, standardize = false, maxIterations = 500, tolerance = 1e-5 }: LinearFitOptions,
): LinearProbe {
  const { nRows, nLabels } = labels;
  const scale = standardize ? columnScale(x, d) : undefined;
  const products = openProducts(
    { kind: "dense", d, x: scale ? scaled(x, d, scale) : x },
    nLabels,
    nRows,
  );
  const rows = Int32Array.from({ length: nRows }, (_, row) => row);
  const size = nLabels * d;
  const penalty = 1 / (C * nRows);
  const slopesOf = loss === "multinomial" ? softmaxSlopes : sigmoidSlopes;
  const theta = minimize(
    (at) => {
      products.weights.value.set(at.subarray(0, size));
      const logits = products.logits(rows);
      const gradient = new Float64Array(at.length);
      const value = slopesOf(logits, labels, {
        biases: at.subarray(size),
        into: gradient.subarray(size),
      });
      products.weights.grad.fill(0);
      products.back(rows, logits);
      let squares = 0;
      for (let i = 0; i < size; i++) {
        gradient[i] = products.weights.grad[i]! + penalty * at[i]!;
        squares += at[i]! ** 2;
      }
      return { value: value + (penalty / 2) * squares, gradient };
    },
    new Float64Array(size + nLabels),
    { maxIterations, tolerance },
  );
  const probe = {
    kind: loss,
    nLabels,
    d,
    weights: Float32Array.from(theta.subarray(0, size)),
    biases: Float32Array.from(theta.subarray(size)),
  };
  return scale ? unscaled(probe, scale) : probe;
}

/** What a loss needs beside logits: biases, and where their gradient goes. */
interface Biases {
  readonly biases: Float64Array;
  readonly into: Float64Array;
}

/** Turns logits into slopes of the mean loss, in place; returns that loss. */
function softmaxSlopes(logits: Float32Array, labels: RowLabels, { biases, into }: Biases): number {
  const { nRows, nLabels, values } = labels;
  const z = new Float64Array(nLabels);
  let loss = 0;
  for (let row = 0; row < nRows; row++) {
    const at = row * nLabels;
    for (let label = 0; label < nLabels; label++) z[label] = logits[at + label]! + biases[label]!;
    const top = z.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
    const total = z.reduce((sum, value) => sum + Math.exp(value - top), 0);
    for (let label = 0; label < nLabels; label++) {
      const has = values[at + label]!;
      if (has === 1) loss += top + Math.log(total) - z[label]!;
      const slope = (Math.exp(z[label]! - top) / total - has) / nRows;
      logits[at + label] = slope;
      into[label]! += slope;
    }
  }
  return loss / nRows;
}

function sigmoidSlopes(logits: Float32Array, labels: RowLabels, { biases, into }: Biases): number {
  const { nRows, nLabels, values } = labels;
  let loss = 0;
  for (let i = 0; i < nRows * nLabels; i++) {
    const label = i % nLabels;
    const z = logits[i]! + biases[label]!;
    const has = values[i]!;
    loss += Math.max(has === 1 ? -z : z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
    const slope = (sigmoid(z) - has) / nRows;
    logits[i] = slope;
    into[label]! += slope;
  }
  return loss / nRows;
}

interface ColumnScale {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

function columnScale(x: Float32Array, d: number): ColumnScale {
  const n = x.length / d;
  const [mean, deviation] = [new Float64Array(d), new Float64Array(d)];
  for (let i = 0; i < x.length; i++) mean[i % d]! += x[i]! / n;
  for (let i = 0; i < x.length; i++) deviation[i % d]! += (x[i]! - mean[i % d]!) ** 2 / n;
  return { mean, deviation: deviation.map((it) => Math.sqrt(it) + 1e-6) };
}

function scaled(x: Float32Array, d: number, { mean, deviation }: ColumnScale): Float32Array {
  return x.map((value, i) => (value - mean[i % d]!) / deviation[i % d]!);
}

function unscaled(probe: LinearProbe, { mean, deviation }: ColumnScale): LinearProbe {
  const { d, weights, biases } = probe;
  const shifted = biases.slice();
  const raw = weights.map((value, i) => value / deviation[i % d]!);
  for (let i = 0; i < raw.length; i++) shifted[Math.floor(i / d)]! -= raw[i]! * mean[i % d]!;
  return { ...probe, weights: raw, biases: shifted };
}
