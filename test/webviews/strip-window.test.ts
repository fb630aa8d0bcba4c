import { expect, test } from "vitest";
import {
  blockCount,
  blockTop,
  estimateHeight,
  stripWindow,
} from "../../webviews/text/strip-window.ts";

const even = { count: 100, measured: new Map<number, number>(), estimate: 50 };

test.each([
  { tokens: 0, blocks: 0 },
  { tokens: 1, blocks: 1 },
  { tokens: 100, blocks: 1 },
  { tokens: 101, blocks: 2 },
])("$tokens tokens are $blocks blocks", ({ tokens, blocks }) => {
  expect(blockCount(tokens)).toBe(blocks);
});

test.each([
  { name: "at the top", scrollTop: 0, from: 0, to: 5 },
  { name: "in the middle", scrollTop: 1000, from: 19, to: 25 },
  { name: "at the end", scrollTop: 4800, from: 95, to: 100 },
  { name: "beyond the end", scrollTop: 99_999, from: 98, to: 100 },
])("a view of 200 px $name draws one block more on either side", ({ scrollTop, from, to }) => {
  const shown = stripWindow(even, scrollTop, 200);
  expect(shown).toMatchObject({ from, to });
  expect(shown.before).toBe(from * 50);
  expect(shown.before + (to - from) * 50 + shown.after).toBe(100 * 50);
});

test("measured heights replace the estimate", () => {
  const heights = {
    count: 4,
    measured: new Map([
      [0, 300],
      [1, 10],
    ]),
    estimate: 50,
  };
  expect(blockTop(heights, 2)).toBe(310);
  expect(stripWindow(heights, 305, 20)).toEqual({ from: 0, to: 4, before: 0, after: 0 });
});

test("no blocks, no window", () => {
  expect(stripWindow({ ...even, count: 0 }, 0, 200)).toEqual({
    from: 0,
    to: 0,
    before: 0,
    after: 0,
  });
});

test("the estimate is the mean of what was measured", () => {
  expect(estimateHeight(new Map(), 160)).toBe(160);
  expect(
    estimateHeight(
      new Map([
        [3, 100],
        [9, 200],
      ]),
      160,
    ),
  ).toBe(150);
});
