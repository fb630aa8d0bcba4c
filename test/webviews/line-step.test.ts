import { expect, test } from "vitest";
import { lineEnd, type TokenBox, tokenOnNextLine } from "../../webviews/text/line-step.ts";

/** Three lines of tokens, drawn as `index:left-right`. */
const boxes = lines(["0:0-50 1:50-90 2:90-200", "3:0-20 4:20-120 5:120-300", "6:0-30"]);

test.each([
  { from: 1, step: 1, to: 4 },
  { from: 2, step: 1, to: 5 },
  { from: 5, step: 1, to: 6 },
  { from: 6, step: 1, to: undefined },
  { from: 6, step: -1, to: 3 },
  { from: 5, step: -1, to: 2 },
  { from: 0, step: -1, to: undefined },
  { from: 99, step: 1, to: undefined },
] as const)("from $from by $step line is $to", ({ from, step, to }) => {
  expect(tokenOnNextLine(boxes, from, step)).toBe(to);
});

test.each([
  { from: 1, step: -1, to: 0 },
  { from: 1, step: 1, to: 2 },
  { from: 6, step: 1, to: 6 },
  { from: 99, step: 1, to: undefined },
] as const)("the end of the line of $from by $step is $to", ({ from, step, to }) => {
  expect(lineEnd(boxes, from, step)).toBe(to);
});

function lines(texts: readonly string[]): TokenBox[] {
  return texts.flatMap((text, line) =>
    text.split(" ").map((token) => {
      const [index = 0, left = 0, right = 0] = token.split(/[:-]/).map(Number);
      // Boxes of neighbouring lines touch, and one sticks out by a pixel.
      const top = line * 20 - (index === 4 ? 1 : 0);
      return { index, left, right, top, bottom: line * 20 + 20 };
    }),
  );
}
