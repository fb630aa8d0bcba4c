/** Checkpoints and runs that are resumed hang on these numbers: they must not change. */
import { expect, test } from "vitest";
import { SeededRandom } from "../../server/base/seeded-random.ts";

test("the numbers of a list of seeds stay the same", () => {
  const random = new SeededRandom(7, 1);
  expect([random.uniform(), random.uniform(), random.normal(), random.normal()])
    .toMatchInlineSnapshot(`
    [
      0.9162913574837148,
      0.4225549635011703,
      0.12275835942797655,
      0.019812366412755855,
    ]
  `);
  expect(new SeededRandom(2 ** 40 + 3).uniform()).toMatchInlineSnapshot(`0.7063413818832487`);
});

test("lists of seeds differ in every place", () => {
  const lists = [[0], [1], [0, 0], [0, 1], [1, 0], [2 ** 32], [2 ** 32, 1]];
  const found = lists.map((seeds) => new SeededRandom(...seeds).uniform());
  expect(new Set(found).size).toBe(found.length);
});
