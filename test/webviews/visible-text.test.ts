import { expect, test } from "vitest";
import { figure, heatModes, heatModeText } from "../../webviews/text/heat-modes.ts";
import { endsLine, visibleText } from "../../webviews/text/visible-text.ts";
import { heatStep } from "../../server/protocol/page.ts";

test.each([
  [" Einstein", " Einstein"],
  ["\n\n", "↵↵"],
  ["\t", "⇥"],
  ["\r\n", "␍↵"],
  ["\u202eevil", "⟨U+202E⟩evil"],
  ["a\u200bb", "a⟨U+200B⟩b"],
  ["\u0000", "⟨U+0000⟩"],
  ["<b>&amp;", "<b>&amp;"],
  ["é", "é"],
  ["e\u0301", "e\u0301"],
  ["👍", "👍"],
  ["\u{e0041}", "⟨U+E0041⟩"],
  ["\ufeff", "⟨U+FEFF⟩"],
])("%j is shown as %j", (text, expected) => {
  expect(visibleText(text)).toBe(expected);
});

test("the strip goes to a new line after a line break only", () => {
  expect([endsLine("a\n"), endsLine("a"), endsLine("")]).toEqual([true, false, false]);
});

test.each([
  [0, "0"],
  [12.3456, "12.3"],
  [1234.5, "1230"],
  [0.0001, "1.0e-4"],
  [-2.5678, "-2.57"],
  [Number.NaN, "–"],
])("figure of %d is %s", (value, expected) => {
  expect(figure(value)).toBe(expected);
});

test.each([
  [0, 0],
  [Number.NaN, 0],
  [-1, 0],
  [1e-9, 1],
  [0.2, 1],
  [0.21, 2],
  [1, 5],
  [7, 5],
])("heat %d has step %d", (heat, step) => {
  expect(heatStep(heat)).toBe(step);
});

test("every mode has a name and a meaning", () => {
  expect(new Set(heatModes.map(({ name }) => name)).size).toBe(heatModes.length);
  for (const { mode } of heatModes) expect(heatModeText(mode).mode).toBe(mode);
});
