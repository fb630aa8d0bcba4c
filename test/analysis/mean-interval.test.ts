import { expect, test } from "vitest";
import { meanInterval } from "../../server/analysis/absorption/mean-interval.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";

test("the interval of many values is that of the normal approximation, and the same for the same seed", () => {
  const random = new SeededRandom(3);
  const values = Array.from({ length: 400 }, () => 2 + 3 * random.normal());
  const found = meanInterval(values, new SeededRandom(1))!;
  const mean = values.reduce((sum, it) => sum + it, 0) / values.length;
  const variance = values.reduce((sum, it) => sum + (it - mean) ** 2, 0) / values.length;
  const error = Math.sqrt(variance / values.length);
  expect(found.mean).toBeCloseTo(mean, 12);
  // With 2,000 resamples a percentile itself is uncertain by about 0.06 standard errors.
  expect(Math.abs((found.low - mean) / error + 1.96)).toBeLessThan(0.2);
  expect(Math.abs((found.high - mean) / error - 1.96)).toBeLessThan(0.2);
  expect(meanInterval(values, new SeededRandom(1))).toEqual(found);
  expect(meanInterval(values, new SeededRandom(2))).not.toEqual(found);
});

test("one value is its own interval, and none has none", () => {
  expect(meanInterval([4], new SeededRandom(0))).toEqual({ n: 1, mean: 4, low: 4, high: 4 });
  expect(meanInterval([], new SeededRandom(0))).toBeUndefined();
});
