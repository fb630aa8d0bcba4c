/**
 * k-sparse probes: for each label a few latents (those that a selecting probe weighs most, or that differ most), a logistic regression on those alone, and
 * how many of them are the label's main latents. Gurnee et al. 2023, arXiv:2305.01610; sae-bench@0.6.0 k_sparse_probing.py.
 */
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { columnOf, type LinearProbe, type RowLabels } from "./linear-probe.ts";
import { type BinaryProbe, fitBinary } from "./logistic-regression.ts";
import { bestThreshold, type Scores, scoresOf } from "./scores.ts";

/** F1 must grow by more than this for a further latent to count as a split of the feature. */
export const splitThreshold = 0.03;
/** SAEBench's largest k. */
export const defaultMaxK = 10;
/** The largest k that is offered. */
export const largestK = 50;

/** How latents are put in order: by difference of means, or by SAEBench's probe with L1. */
export type Selection = "mean-difference" | "sae-bench";

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

/** Candidates among which the best single latent is looked for. */
const nCandidates = 12;

/**
 * The k latents whose mean activation differs most between rows with the label and rows without, the one that says it best
 * alone (F1 at its best threshold) put first. Needs no training and does not hang on the scale of activations.
 */
export function differingLatents(
  { acts, labels }: LabelledActs,
  label: number,
  { d_sae, k }: { d_sae: number; k: number },
): number[] {
  const truth = columnOf(labels, label);
  const positives = truth.reduce((sum, it) => sum + it, 0);
  const difference = new Float64Array(d_sae);
  for (let row = 0; row < truth.length; row++) {
    const weight = truth[row] === 1 ? 1 / positives : -1 / (truth.length - positives);
    for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++)
      difference[acts.latents[at]!]! += weight * acts.acts[at]!;
  }
  const order = Array.from(difference, (_, latent) => latent)
    .sort((a, b) => difference[b]! - difference[a]! || a - b)
    .slice(0, Math.max(k, nCandidates));
  const columns = columnsOf(acts, order);
  const alone = order.map((_, column) =>
    column < nCandidates
      ? bestThreshold(
          Array.from(truth, (__, row) => columns[row * order.length + column]!),
          truth,
        ).f1
      : 0,
  );
  const first = alone.indexOf(Math.max(...alone));
  return [order[first]!, ...order.filter((_, at) => at !== first)].slice(0, k);
}

/** Fits the probes of one label on the first k of some latents, k = 1, 2, …, on training rows; scores are of test rows. */
export function kSparseProbes(
  latents: readonly number[],
  label: number,
  { train, test }: { train: LabelledActs; test: LabelledActs },
): LabelProbes {
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
  probe: Pick<BinaryProbe, "bias"> & { readonly weights: ArrayLike<number> },
  rows: { nRows: number; d: number; x: Float32Array },
): boolean[] {
  return scoresOfRows(probe, rows).map((z) => z > 0);
}

/** Scores of a probe on rows under the SAE: above 0 is yes. `-> [rows]` */
export function sparseScores(
  { latents, weights, bias }: Pick<KSparseProbe, "latents" | "weights" | "bias">,
  acts: SparseActs,
): number[] {
  const nRows = acts.offsets.length - 1;
  return scoresOfRows({ weights, bias }, { nRows, d: latents.length, x: columnsOf(acts, latents) });
}

function scoresOfRows(
  { weights, bias }: { readonly weights: ArrayLike<number>; readonly bias: number },
  { nRows, d, x }: { nRows: number; d: number; x: Float32Array },
): number[] {
  return Array.from({ length: nRows }, (_, row) => {
    let z = bias;
    for (let i = 0; i < d; i++) z += weights[i]! * x[row * d + i]!;
    return z;
  });
}
