import { expect, test } from "vitest";
import { align } from "../../server/text/align.ts";
import { seeded } from "../random.ts";

/** The length of a longest common subsequence by the table that every textbook has. */
function commonLength(a: readonly number[], b: readonly number[]): number {
  let row = Array.from({ length: b.length + 1 }, () => 0);
  for (const x of a) {
    const next = [0];
    for (const [at, y] of b.entries())
      next.push(x === y ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!));
    row = next;
  }
  return row.at(-1)!;
}

test("a longest common subsequence, in order, on 3,000 random pairs", () => {
  const random = seeded(7);
  const sequence = (): number[] =>
    Array.from({ length: Math.floor(random() * 24) }, () => Math.floor(random() * 5));
  for (let round = 0; round < 3000; round++) {
    const [a, b] = [sequence(), sequence()];
    const { pairs, complete } = align(a, b);
    expect(complete).toBe(true);
    expect(pairs).toHaveLength(commonLength(a, b));
    for (const [at, [x, y]] of pairs.entries()) {
      expect(a[x]).toBe(b[y]);
      const before = pairs[at - 1] ?? [-1, -1];
      expect(x > before[0] && y > before[1]).toBe(true);
    }
  }
});

test("texts that differ too much keep their common beginning and end", () => {
  const a = [1, 2, ...Array.from({ length: 50 }, (_, at) => 100 + at), 3];
  const b = [1, 2, ...Array.from({ length: 60 }, (_, at) => 200 + at), 3];
  const { pairs, complete } = align(a, b, 20);
  expect(complete).toBe(false);
  expect(pairs).toEqual([
    [0, 0],
    [1, 1],
    [52, 62],
  ]);
});
