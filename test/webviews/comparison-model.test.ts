import { expect, test } from "vitest";
import type { ComparedRow } from "../../server/protocol/comparison.ts";
import { stretchesOf } from "../../webviews/comparison/comparison-model.ts";
import { seeded } from "../random.ts";

function row(at: number, change: number): ComparedRow {
  return { before: at, after: at, change, dissimilarity: 0, counts: true, latents: [] };
}

test("a long stretch without a change is folded, four rows on each side of a change are not", () => {
  const rows = Array.from({ length: 40 }, (_, at) => row(at, at === 20 ? 3 : 0));
  expect(stretchesOf(rows)).toEqual([
    { kind: "folded", from: 0, to: 16 },
    { kind: "rows", from: 16, to: 25 },
    { kind: "folded", from: 25, to: 40 },
  ]);
  expect(stretchesOf(rows, new Set([0]))[0]).toEqual({ kind: "rows", from: 0, to: 25 });
});

test("stretches are all rows in order, and none with a change is folded", () => {
  const random = seeded(11);
  for (let round = 0; round < 500; round++) {
    const rows = Array.from({ length: Math.floor(random() * 60) }, (_, at): ComparedRow => {
      const kind = random();
      const { before: _before, ...alone } = row(at, 1);
      return kind < 0.05 ? row(at, 1) : kind < 0.1 ? alone : row(at, 0);
    });
    let next = 0;
    for (const { kind, from, to } of stretchesOf(rows)) {
      expect(from).toBe(next);
      expect(to).toBeGreaterThan(from);
      next = to;
      if (kind === "rows") continue;
      for (const { before, change } of rows.slice(from, to))
        expect([before === undefined, change]).toEqual([false, 0]);
    }
    expect(next).toBe(rows.length);
  }
});
