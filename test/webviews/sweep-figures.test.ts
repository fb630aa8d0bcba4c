import { expect, test } from "vitest";
import type { SweepLabel } from "../../server/protocol/absorption-sweep.ts";
import { binsOf, figureOf, gridOf, heatOf } from "../../webviews/sweep/sweep-figures.ts";
import { fakeSweep } from "../e2e/fake-sweep.mjs";

const sweep = fakeSweep();

test("SAEs form a grid of widths and L0 only if both vary together", () => {
  const grid = gridOf(sweep)!;
  expect([grid.widths, grid.l0s]).toEqual([
    [1024, 6144, 24576],
    [2, 16, 64],
  ]);
  expect(grid.cells[1]![1]!.map((it) => it.sae)).toEqual([
    "w6144-l18",
    "w6144-l20-tied",
    "w6144-l22-end-to-end-adversarial",
  ]);
  const some = (...wanted: number[]) =>
    gridOf({ ...sweep, rows: wanted.map((at) => sweep.rows[at]!) });
  expect(some(0, 1, 2)).toBeUndefined();
  expect(some(0, 4)).toBeUndefined();
  expect(some(0, 1, 4)).toBeDefined();
});

test("a label without latents has no figure of absorption, but its F1", () => {
  const label: SweepLabel = { ...sweep.rows[0]!.labels[0]!, hasMainLatents: false, mainF1: 0.3 };
  expect(figureOf(label, "fullRate")).toBeUndefined();
  expect(figureOf(label, "mainF1")).toBe(0.3);
  expect(figureOf({ ...label, hasMainLatents: true, fullRate: 0.25 }, "fullRate")).toBe(0.25);
});

test("heat has five steps above none, and bins of all rows stand in order", () => {
  expect([undefined, 0, 0.004, 0.01, 0.1, 0.3, 0.5, 1].map((it) => heatOf(it))).toEqual([
    "",
    "",
    "",
    "heat1",
    "heat2",
    "heat3",
    "heat4",
    "heat5",
  ]);
  expect(binsOf(sweep).map((it) => it.below)).toEqual([0, 10, 10_000, null]);
});
