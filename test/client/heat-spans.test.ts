import { expect, test } from "vitest";
import { pinnedGroups, spansByStep } from "../../client/heat-spans.ts";
import type { HeatSpan } from "../../server/protocol/page.ts";

const span = (startCharacter: number, heat: number): HeatSpan => ({
  startLine: 0,
  startCharacter,
  endLine: 0,
  endCharacter: startCharacter + 2,
  heat,
  value: heat,
});

test("spans are sorted into five steps; no heat is no span", () => {
  const steps = spansByStep([span(0, 1), span(2, 0.1), span(4, 0), span(6, 0.85)]);
  expect(steps.map((it) => it.map(({ startCharacter }) => startCharacter))).toEqual([
    [2],
    [],
    [],
    [],
    [0, 6],
  ]);
});

test("tokens inside one character are drawn once, by the strongest", () => {
  const steps = spansByStep([span(0, 0.3), span(0, 0.9), span(0, 0.5)]);
  expect(steps.map((it) => it.length)).toEqual([0, 0, 0, 0, 1]);
});

test("pins: the strongest fills in its colour by three steps, the next underlines", () => {
  const strong = { ...span(0, 0.9), colour: 2, also: [4, 1] };
  const weak = { ...span(2, 0.1), colour: 1, also: [] };
  const { fills, lines } = pinnedGroups([strong, weak, span(4, 1), { ...span(6, 0), colour: 3 }]);
  expect(fills).toEqual([
    [[weak], [], []],
    [[], [], [strong]],
    [[], [], []],
    [[], [], []],
  ]);
  expect(lines).toEqual([[], [], [], [strong]]);
});
