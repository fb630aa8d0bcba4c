/** Means with an interval by the bootstrap. */
import type { SeededRandom } from "../../base/seeded-random.ts";

/** A mean and the percentiles of means of resamples: Efron 1979, doi:10.1214/aos/1176344552. */
export interface MeanInterval {
  readonly n: number;
  readonly mean: number;
  /** Equal to the mean where there is one value alone. */
  readonly low: number;
  readonly high: number;
}

/** Resamples, and the share of their means that the interval holds. */
export const [resamples, confidence] = [2000, 0.95];

/** Mean and percentile interval of values; undefined where there are none. */
export function meanInterval(
  values: readonly number[],
  random: SeededRandom,
): MeanInterval | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const means = new Float64Array(resamples);
  for (let at = 0; at < resamples; at++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(random.uniform() * n)]!;
    means[at] = sum / n;
  }
  means.sort();
  return {
    n,
    mean: values.reduce((sum, it) => sum + it, 0) / n,
    low: percentile(means, (1 - confidence) / 2),
    high: percentile(means, (1 + confidence) / 2),
  };
}

/** Between neighbours in proportion, as NumPy's default. */
function percentile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const rest = at - below;
  return sorted[below]! * (1 - rest) + (sorted[below + 1] ?? sorted[below]!) * rest;
}
