/** Absorption over the words of a task, by label and over labels, as SAEBench's evaluation reports it. */
import type { ProjectionReading } from "./projection-rule.ts";

/** Rates of one label over the words that the probe is right about. */
export interface LabelRates {
  readonly words: number;
  readonly full: number;
  readonly partial: number;
  /** full / words */
  readonly fullRate: number;
  /** partial / words */
  readonly partialRate: number;
  /** Mean of the words' fractions. */
  readonly meanFraction: number;
}

/** Adds up the readings of one label's words. */
export function ratesOf(
  readings: readonly Pick<ProjectionReading, "fraction" | "isFull" | "isPartial">[],
): LabelRates {
  const words = readings.length;
  const full = readings.filter((it) => it.isFull).length;
  const partial = readings.filter((it) => it.isPartial).length;
  const share = (sum: number): number => (words === 0 ? 0 : sum / words);
  return {
    words,
    full,
    partial,
    fullRate: share(full),
    partialRate: share(partial),
    meanFraction: share(readings.reduce((sum, it) => sum + it.fraction, 0)),
  };
}

/** Mean and sample standard deviation over labels. */
export interface Spread {
  readonly mean: number;
  readonly standardDeviation: number;
}

/** Mean and spread of some numbers; the deviation has n − 1 below, as `statistics.stdev`, and is 0 for one number. */
export function spreadOf(values: readonly number[]): Spread {
  const n = values.length;
  const mean = n === 0 ? 0 : values.reduce((sum, it) => sum + it, 0) / n;
  const squares = values.reduce((sum, it) => sum + (it - mean) ** 2, 0);
  return { mean, standardDeviation: n < 2 ? 0 : Math.sqrt(squares / (n - 1)) };
}

/**
 * A label counts only if its probe is better than this on held-out words (SAEBench's rule), and is said to have main latents only if
 * they are: below it, what looks like absorption is absence.
 */
export const minProbeF1 = 0.6;
