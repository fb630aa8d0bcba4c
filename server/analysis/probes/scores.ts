/** How well scores say which rows have a label. */

/** Counts of yes and no against the truth, and what follows from them. */
export interface Scores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly positives: number;
  readonly predicted: number;
}

/** Precision, recall and F1 of yes/no answers; 0 where a denominator is 0, as scikit-learn has it. */
export function scoresOf(isYes: ArrayLike<boolean | number>, truth: ArrayLike<number>): Scores {
  let [hits, predicted, positives] = [0, 0, 0];
  for (let row = 0; row < truth.length; row++) {
    const [yes, has] = [Boolean(isYes[row]), truth[row] === 1];
    if (yes) predicted++;
    if (has) positives++;
    if (yes && has) hits++;
  }
  const precision = predicted === 0 ? 0 : hits / predicted;
  const recall = positives === 0 ? 0 : hits / positives;
  const f1 = predicted + positives === 0 ? 0 : (2 * hits) / (predicted + positives);
  return { precision, recall, f1, positives, predicted };
}

/** The chance that a row with the label scores higher than one without, ties half: area under the ROC curve. */
export function areaUnderCurve(scores: ArrayLike<number>, truth: ArrayLike<number>): number {
  const order = Array.from(truth, (_, row) => row).sort((a, b) => scores[a]! - scores[b]!);
  let [rankSum, positives] = [0, 0];
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to++;
    for (let at = from; at < to; at++)
      if (truth[order[at]!] === 1) {
        positives++;
        rankSum += (from + 1 + to) / 2;
      }
    from = to;
  }
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return Number.NaN;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** The threshold from 0 on above which rows are best said to have the label, and that F1; halfway between two rows' scores. */
export function bestThreshold(
  scores: ArrayLike<number>,
  truth: ArrayLike<number>,
): { threshold: number; f1: number } {
  const active = Array.from(truth, (_, row) => row)
    .filter((row) => scores[row]! > 0)
    .sort((a, b) => scores[b]! - scores[a]!);
  let positives = 0;
  for (let row = 0; row < truth.length; row++) positives += truth[row]!;
  let best = { threshold: scores[active[0] ?? 0] ?? 0, f1: 0 };
  let hits = 0;
  for (const [at, row] of active.entries()) {
    hits += truth[row]!;
    const [score, next] = [scores[row]!, scores[active[at + 1] ?? -1] ?? 0];
    if (next === score) continue;
    const f1 = (2 * hits) / (at + 1 + positives);
    if (f1 > best.f1) best = { threshold: (score + next) / 2, f1 };
  }
  return best;
}

/** One bin of a calibration curve. */
export interface CalibrationBin {
  readonly rows: number;
  readonly meanProbability: number;
  readonly share: number;
}

/**
 * Probabilities against shares in equal bins, and the expected calibration error Σ rows/n · |mean probability − share|.
 * Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599, eq. 3.
 */
export function calibrationOf(
  probabilities: ArrayLike<number>,
  truth: ArrayLike<number>,
  nBins = 10,
): { error: number; bins: CalibrationBin[] } {
  const sums = Array.from({ length: nBins }, () => ({ rows: 0, probability: 0, hits: 0 }));
  for (let row = 0; row < truth.length; row++) {
    const bin = sums[Math.min(nBins - 1, Math.floor(probabilities[row]! * nBins))]!;
    bin.rows++;
    bin.probability += probabilities[row]!;
    bin.hits += truth[row]!;
  }
  const bins = sums.map(({ rows, probability, hits }) => ({
    rows,
    meanProbability: rows === 0 ? 0 : probability / rows,
    share: rows === 0 ? 0 : hits / rows,
  }));
  const error = bins.reduce(
    (sum, { rows, meanProbability, share }) =>
      sum + (rows / (truth.length || 1)) * Math.abs(meanProbability - share),
    0,
  );
  return { error, bins };
}

/** 1 / (1 + e^−z) without overflow. */
export function sigmoid(z: number): number {
  if (z >= 0) return 1 / (1 + Math.exp(-z));
  const e = Math.exp(z);
  return e / (1 + e);
}
