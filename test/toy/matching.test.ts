import { expect, test } from "vitest";
import { bestAssignment } from "../../server/toy/matching.ts";
import { seeded } from "../random.ts";

/** The best sum by trying everything. */
function bestSum(
  scores: readonly (readonly number[])[],
  from = 0,
  taken: readonly number[] = [],
): number {
  const row = scores[from];
  if (!row) return 0;
  const mayRest = scores.length > row.length;
  const sums = row.flatMap((score, column) =>
    taken.includes(column) ? [] : [score + bestSum(scores, from + 1, [...taken, column])],
  );
  return Math.max(
    ...sums,
    mayRest || sums.length === 0 ? bestSum(scores, from + 1, taken) : -Infinity,
  );
}

test.each([
  [4, 4],
  [3, 5],
  [5, 3],
  [1, 1],
])("%d features and %d latents: no assignment has a larger sum", (rows, columns) => {
  const random = seeded(rows * 10 + columns);
  for (let round = 0; round < 50; round++) {
    const scores = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => Math.round(8 * random()) / 8),
    );
    const found = bestAssignment(scores);
    const known = found.filter((it) => it >= 0);
    expect(new Set(known).size).toBe(known.length);
    expect(known.length).toBe(Math.min(rows, columns));
    const sum = found.reduce((all, column, row) => all + (scores[row]?.[column] ?? 0), 0);
    expect(sum).toBeCloseTo(bestSum(scores), 10);
  }
});

test("a greedy choice of the best pair would be worse", () => {
  const scores = [
    [1, 0.9],
    [0.9, 0],
  ];
  expect(bestAssignment(scores)).toEqual([1, 0]);
});
