import { expect, test } from "vitest";
import {
  countText,
  defaultL0,
  defaultMetaWidth,
  defaultTokens,
  defaultWidth,
  parseCount,
} from "../../client/train-defaults.ts";

test("defaults grow with the model, and tokens with the width as far as the corpus goes", () => {
  expect(defaultWidth(192)).toBe(3072);
  expect([64, 192, 576, 2304, 8192].map(defaultL0)).toEqual([8, 16, 32, 64, 64]);
  expect(defaultTokens(3072, undefined)).toBe(2_500_000);
  expect(defaultTokens(3072, 40_000)).toBe(100_000);
  expect(defaultTokens(3072, 100)).toBe(10_000);
  expect([16, 6144, 49_152].map(defaultMetaWidth)).toEqual([16, 256, 2048]);
});

test("counts are read as people write them, and written so that they are read again", () => {
  for (const [text, count] of [
    ["2M", 2_000_000],
    ["500k", 500_000],
    ["1.5 B", 1_500_000_000],
    ["4,096", 4096],
    ["10 000", 10_000],
    [" 7 ", 7],
  ] as const)
    expect(parseCount(text), text).toBe(count);
  for (const text of ["", "0", "-3", "x", "1e3", "k", "3 4 x", "0.2"])
    expect(parseCount(text), text).toBeUndefined();
  for (const count of [7, 999, 1000, 3072, 12_500, 500_000, 2_500_000, 1_000_000_007])
    expect(parseCount(countText(count))).toBe(count);
});
