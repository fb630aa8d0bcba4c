/** Linear probes: one direction and bias per label, however they were found. */

import { sigmoid } from "./scores.ts";

/** `labels` directions over vectors of width `d`. */
export interface LinearProbe {
  /** How logits become probabilities: by a softmax over the labels, or each by its own sigmoid. */
  readonly kind: "multinomial" | "one-vs-rest";
  readonly nLabels: number;
  readonly d: number;
  /** `[labels, d]` */
  readonly weights: Float32Array;
  /** `[labels]` */
  readonly biases: Float32Array;
}

/** Which labels each row has, a row may have several or none: 1 or 0, `[rows, labels]`. */
export interface RowLabels {
  readonly nRows: number;
  readonly nLabels: number;
  readonly values: Uint8Array;
}

/** Labels of rows that have exactly one each (or none: −1). `[rows] -> [rows, labels]` */
export function oneHot(labels: ArrayLike<number>, nLabels: number): RowLabels {
  const values = new Uint8Array(labels.length * nLabels);
  for (let row = 0; row < labels.length; row++)
    if (labels[row]! >= 0) values[row * nLabels + labels[row]!] = 1;
  return { nRows: labels.length, nLabels, values };
}

/** Whether every row has exactly one label. */
export function haveOneLabel({ nRows, nLabels, values }: RowLabels): boolean {
  for (let row = 0; row < nRows; row++) {
    let count = 0;
    for (let label = 0; label < nLabels; label++) count += values[row * nLabels + label]!;
    if (count !== 1) return false;
  }
  return true;
}

/** One column. `[rows, labels] -> [rows]` */
export function columnOf({ nRows, nLabels, values }: RowLabels, label: number): Uint8Array {
  return Uint8Array.from({ length: nRows }, (_, row) => values[row * nLabels + label]!);
}

/** Logits w·x + b. `[rows, d] -> [rows, labels]` */
export function probeLogits(probe: LinearProbe, x: Float32Array): Float32Array {
  const { nLabels, d, weights, biases } = probe;
  const nRows = x.length / d;
  const logits = new Float32Array(nRows * nLabels);
  for (let row = 0; row < nRows; row++)
    for (let label = 0; label < nLabels; label++)
      logits[row * nLabels + label] =
        dot(x, row * d, { b: weights, bAt: label * d, n: d }) + biases[label]!;
  return logits;
}

/** Probabilities of the labels. `[rows, d] -> [rows, labels]` */
export function probeProbabilities(probe: LinearProbe, x: Float32Array): Float32Array {
  const logits = probeLogits(probe, x);
  if (probe.kind === "one-vs-rest") return logits.map(sigmoid);
  const { nLabels } = probe;
  for (let at = 0; at < logits.length; at += nLabels) {
    const row = logits.subarray(at, at + nLabels);
    const top = row.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
    const total = row.reduce((sum, value) => sum + Math.exp(value - top), 0);
    for (let i = 0; i < nLabels; i++) row[i] = Math.exp(row[i]! - top) / total;
  }
  return logits;
}

/** Σ a[aAt + i]·b[bAt + i], summed in double precision. */
export function dot(
  a: Float32Array,
  aAt: number,
  { b, bAt, n }: { b: Float32Array; bAt: number; n: number },
): number {
  let [even, odd] = [0, 0];
  const pairs = n & -2;
  for (let i = 0; i < pairs; i += 2) {
    even += a[aAt + i]! * b[bAt + i]!;
    odd += a[aAt + i + 1]! * b[bAt + i + 1]!;
  }
  if (n > pairs) even += a[aAt + pairs]! * b[bAt + pairs]!;
  return even + odd;
}

/**
 * The probe whose directions are differences of means: rows with the label less rows without it, with the bias that puts
 * the boundary halfway. `[rows, d] -> [labels, d]`
 *
 * Marks and Tegmark 2023, arXiv:2310.06824 (mass-mean probing).
 */
export function meanDifferenceProbe(x: Float32Array, d: number, labels: RowLabels): LinearProbe {
  const { nRows, nLabels } = labels;
  const weights = new Float32Array(nLabels * d);
  const biases = new Float32Array(nLabels);
  for (let label = 0; label < nLabels; label++) {
    const sums = [new Float64Array(d), new Float64Array(d)] as const;
    const counts = [0, 0];
    for (let row = 0; row < nRows; row++) {
      const has = labels.values[row * nLabels + label]!;
      const sum = sums[has as 0 | 1];
      counts[has]!++;
      for (let i = 0; i < d; i++) sum[i]! += x[row * d + i]!;
    }
    let middle = 0;
    for (let i = 0; i < d; i++) {
      const [without, withIt] = [sums[0][i]! / (counts[0]! || 1), sums[1][i]! / (counts[1]! || 1)];
      weights[label * d + i] = withIt - without;
      middle += ((withIt - without) * (withIt + without)) / 2;
    }
    biases[label] = -middle;
  }
  return { kind: "one-vs-rest", nLabels, d, weights, biases };
}
