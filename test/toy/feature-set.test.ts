import { expect, test } from "vitest";
import { FeatureSet, type Samples } from "../../server/toy/feature-set.ts";
import { parseToyConfig } from "../../server/toy/toy-config.ts";

const rows = 40_000;

function setOf(value: unknown): FeatureSet {
  return new FeatureSet(parseToyConfig(value, "a test"));
}

/** Share of rows in which all of these are active. */
function together({ magnitudes }: Samples, n: number, ...features: number[]): number {
  let count = 0;
  for (let row = 0; row < rows; row++)
    if (features.every((at) => magnitudes[row * n + at]! > 0)) count++;
  return count / rows;
}

/** Four standard errors of a share of rows. */
const near = (share: number) => 4 * Math.sqrt((share * (1 - share)) / rows);

test.each([0, 0.5, 1])(
  "links of strength %d keep frequencies and set what is common",
  (strength) => {
    const features = [
      { frequency: 0.3 },
      { frequency: 0.1, link: { with: 0, strength } },
      { frequency: 0.15, link: { with: 0, kind: "pair", strength } },
    ];
    const samples = setOf({ features, seed: 3 }).test(rows);
    for (const [at, { frequency }] of features.entries())
      expect(Math.abs(together(samples, 3, at) - frequency)).toBeLessThan(near(frequency));
    for (const at of [1, 2]) {
      const { frequency } = features[at]!;
      const both = 0.3 * frequency + strength * (frequency - 0.3 * frequency);
      expect(Math.abs(together(samples, 3, 0, at) - both)).toBeLessThan(near(both));
    }
  },
);

test.each([0, 0.6, 1])(
  "exclusive children with hierarchy %d are never active together",
  (hierarchy) => {
    const set = setOf({ features: { count: 4, parents: 1, children: 3, hierarchy } });
    const samples = set.test(rows);
    for (const at of [1, 2, 3])
      expect(Math.abs(together(samples, 4, at) - 0.06)).toBeLessThan(near(0.06));
    expect(
      together(samples, 4, 1, 2) + together(samples, 4, 1, 3) + together(samples, 4, 2, 3),
    ).toBe(0);
    if (hierarchy === 1) expect(together(samples, 4, 0, 3)).toBe(together(samples, 4, 3));
  },
);

test.each([
  ["orthogonal", { kind: "orthogonal" }, 0],
  ["overlap", { kind: "overlap", cosine: 0.3 }, 0.3],
] as const)("%s directions have the cosine that was asked for", (_, directions, cosine) => {
  const { directions: rowsOf, d_in, features } = setOf({ directions, seed: 5 });
  const dot = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < d_in; i++) sum += rowsOf[a * d_in + i]! * rowsOf[b * d_in + i]!;
    return sum;
  };
  for (let a = 0; a < features.length; a++)
    for (let b = 0; b <= a; b++) expect(dot(a, b)).toBeCloseTo(a === b ? 1 : cosine, 10);
});

test("rows are sums of active features, and the same for the same seed and step", () => {
  const value = { features: { count: 5, deviation: 0.4 }, directions: { kind: "random" }, d_in: 3 };
  const set = setOf({ ...value, seed: 1 });
  const { x, magnitudes } = set.batch(7, 20);
  for (let row = 0; row < 20; row++)
    for (let i = 0; i < 3; i++) {
      let sum = 0;
      for (let at = 0; at < 5; at++) sum += magnitudes[row * 5 + at]! * set.directions[at * 3 + i]!;
      expect(x.data[row * 3 + i]).toBeCloseTo(sum, 5);
    }
  expect(setOf({ ...value, seed: 1 }).batch(7, 20)).toEqual({ x, magnitudes });
  expect(setOf({ ...value, seed: 1 }).batch(8, 20).x).not.toEqual(x);
  expect(setOf({ ...value, seed: 2 }).batch(7, 20).x).not.toEqual(x);
});

test.each([
  [
    { d_in: 3 },
    'a test: "d_in" is 3, but 12 features in directions of kind "orthogonal" need 12; raise it, or take "random" directions',
  ],
  [
    { features: { cout: 3 } },
    'a test: there is no option "features.cout": remove it or correct its name',
  ],
  [{ features: [{ frequency: 3 }] }, 'a test: "features.0.frequency" is 3; expected at most 1'],
  [
    { features: [{ frequency: 0.1, link: { with: 0 } }] },
    "a test: feature 0 is linked with feature 0; it can only be linked with one that stands before it",
  ],
  [
    { features: { childFrequency: 0.2 } },
    /feature 2 and those that exclude it are active too often to take turns/,
  ],
  [
    { sae: { architecture: "sparse" } },
    /"sae.architecture" is "sparse"; expected one of "standard", "topk"/,
  ],
])("%j is refused with what to do", (value, text) => {
  expect(() => parseToyConfig(value, "a test")).toThrow(text);
});
