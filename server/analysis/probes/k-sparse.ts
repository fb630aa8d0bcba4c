/**
 * k-sparse probes: for each label the latents that a selecting probe weighs most, a logistic regression on those alone, and
 * how many of them are the label's main latents. Gurnee et al. 2023, arXiv:2305.01610; sae-bench@0.6.0 k_sparse_probing.py.
 */
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { columnOf, type LinearProbe, type RowLabels } from "./linear-probe.ts";
import { type BinaryProbe, fitBinary } from "./logistic-regression.ts";
import { type Scores, scoresOf } from "./scores.ts";

/** F1 must grow by more than this for a further latent to count as a split of the feature. */
export const splitThreshold = 0.03;
/** SAEBench's largest k. */
export const defaultMaxK = 10;
/** The largest k that is offered. */
export const largestK = 50;

/** The probe of one label on k latents. */
export interface KSparseProbe {
  readonly latents: readonly number[];
  readonly weights: readonly number[];
  readonly bias: number;
  /** On rows held out. */
  readonly scores: Scores;
}

/** Rows under an SAE with their labels. */
export interface LabelledActs {
  readonly acts: SparseActs;
  readonly labels: RowLabels;
}

/** Probes of one label for k = 1 … maxK, and the main latents that the splitting rule takes. */
export interface LabelProbes {
  readonly byK: readonly KSparseProbe[];
  readonly main: readonly number[];
}

/** The k latents of largest signed weight, as torch's topk: only those that speak for the label. */
export function selectLatents(selecting: LinearProbe, label: number, k: number): number[] {
  const { d, weights } = selecting;
  const row = weights.subarray(label * d, (label + 1) * d);
  return Array.from(row, (_, latent) => latent)
    .sort((a, b) => row[b]! - row[a]! || a - b)
    .slice(0, k);
}

/** Fits the probes of one label for k = 1 … maxK on training rows and scores them on test rows. */
export function kSparseProbes(
  selecting: LinearProbe,
  label: number,
  { train, test, maxK = defaultMaxK }: { train: LabelledActs; test: LabelledActs; maxK?: number },
): LabelProbes {
  const latents = selectLatents(selecting, label, Math.min(maxK, largestK, selecting.d));
  const trainX = columnsOf(train.acts, latents);
  const testX = columnsOf(test.acts, latents);
  const [trainY, testY] = [columnOf(train.labels, label), columnOf(test.labels, label)];
  const byK = latents.map((_, index) => {
    const k = index + 1;
    const fitted = fitBinary(firstColumns(trainX, latents.length, k), trainY, { balanced: true });
    const testRows = firstColumns(testX, latents.length, k);
    return {
      latents: latents.slice(0, k),
      weights: [...fitted.weights],
      bias: fitted.bias,
      scores: scoresOf(saysYes(fitted, testRows), testY),
    };
  });
  return { byK, main: mainLatents(byK) };
}

/**
 * The latents of the largest k up to which each further one raised F1 by more than the threshold over the best so far; the
 * first is always taken.
 */
export function mainLatents(
  byK: readonly { readonly latents: readonly number[]; readonly scores: Pick<Scores, "f1"> }[],
  threshold: number = splitThreshold,
): readonly number[] {
  let best = Number.NEGATIVE_INFINITY;
  let main: readonly number[] = [];
  for (const { latents, scores } of byK) {
    if (!(scores.f1 > best + threshold)) break;
    best = scores.f1;
    main = latents;
  }
  return main;
}

/** Some latents' activations with zeros. `-> [rows, latents]` */
export function columnsOf(
  { offsets, latents, acts }: SparseActs,
  wanted: readonly number[],
): Float32Array {
  const nRows = offsets.length - 1;
  const place = new Map(wanted.map((latent, at) => [latent, at]));
  const columns = new Float32Array(nRows * wanted.length);
  for (let row = 0; row < nRows; row++)
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
      const column = place.get(latents[at]!);
      if (column !== undefined) columns[row * wanted.length + column] = acts[at]!;
    }
  return columns;
}

function firstColumns(
  x: Float32Array,
  width: number,
  k: number,
): { nRows: number; d: number; x: Float32Array } {
  const nRows = width === 0 ? 0 : x.length / width;
  if (k === width) return { nRows, d: k, x };
  const part = new Float32Array(nRows * k);
  for (let row = 0; row < nRows; row++) part.set(x.subarray(row * width, row * width + k), row * k);
  return { nRows, d: k, x: part };
}

function saysYes(
  { weights, bias }: BinaryProbe,
  { nRows, d, x }: { nRows: number; d: number; x: Float32Array },
): boolean[] {
  return Array.from({ length: nRows }, (_, row) => {
    let z = bias;
    for (let i = 0; i < d; i++) z += weights[i]! * x[row * d + i]!;
    return z > 0;
  });
}
