/** SAEs made by hand, of which one knows what the measures must say. */
import { expect, test } from "vitest";
import { FeatureSet } from "../../server/toy/feature-set.ts";
import { measure } from "../../server/toy/measures.ts";
import { parseToyConfig } from "../../server/toy/toy-config.ts";

/** One parent with two children, a pair, one alone. */
const features = { count: 6, parents: 1, children: 2, hierarchy: 1 };
const rows = 4000;

interface MadeLatent {
  /** How much of each feature its row of W_dec holds. */
  readonly holds: Readonly<Record<number, number>>;
  /** Its activation, given the magnitudes of a row. */
  readonly act: (m: readonly number[]) => number;
}

const only = (feature: number): MadeLatent => ({
  holds: { [feature]: 1 },
  act: (m) => m[feature]!,
});
const faithful = [0, 1, 2, 3, 4, 5].map(only);

function measured(latents: readonly MadeLatent[], directions: unknown = { kind: "orthogonal" }) {
  const set = new FeatureSet(parseToyConfig({ features, directions }, "a test"));
  const samples = set.test(rows);
  const { d_in } = set;
  const W_dec = new Float32Array(latents.length * d_in);
  const W_enc = new Float32Array(d_in * latents.length);
  const acts = new Float32Array(rows * latents.length);
  for (const [latent, { holds, act }] of latents.entries()) {
    for (const [feature, weight] of Object.entries(holds))
      for (let i = 0; i < d_in; i++) {
        const part = weight * set.directions[Number(feature) * d_in + i]!;
        W_dec[latent * d_in + i]! += part;
        W_enc[i * latents.length + latent]! += part;
      }
    for (let row = 0; row < rows; row++)
      acts[row * latents.length + latent] = act(
        Array.from(samples.magnitudes.subarray(row * 6, (row + 1) * 6)),
      );
  }
  return measure(set, samples, { d_sae: latents.length, W_dec, W_enc, acts });
}

/** The parent's latent is silent under a child of the list, whose latent holds this much of the parent. */
function absorbing(children: readonly number[], part: number): MadeLatent[] {
  return faithful.map((latent, at) => {
    if (at === 0)
      return { ...latent, act: (m) => (children.some((child) => m[child]! > 0) ? 0 : m[0]!) };
    return children.includes(at) ? { holds: { [at]: 1, 0: part }, act: (m) => m[at]! } : latent;
  });
}

test.each([
  ["orthogonal", { kind: "orthogonal" }],
  ["overlapping", { kind: "overlap", cosine: 0.35 }],
])("an SAE with one latent for each of %s features absorbs nothing", (_, directions) => {
  const found = measured(faithful, directions);
  expect(found.recovery).toMatchObject({ recovered: 1 });
  expect(found.recovery.matchedCosine).toBeCloseTo(1, 5);
  expect(found.parents.map(({ absorbed, silent }) => [absorbed, silent])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(found.absorption.carried).toBeCloseTo(0, 5);
  expect(found.split).toBe(0);
  expect(found.features.every(({ recall, precision }) => recall === 1 && precision === 1)).toBe(
    true,
  );
});

test.each([
  ["orthogonal", { kind: "orthogonal" }],
  ["overlapping", { kind: "overlap", cosine: 0.35 }],
])("a planted absorption by both children is found whole, directions %s", (_, directions) => {
  const { parents, absorption, features: found } = measured(absorbing([1, 2], 1), directions);
  expect(parents[0]).toMatchObject({
    parent: 0,
    children: [1, 2],
    absorbed: 1,
    silent: 1,
    recallAlone: 1,
  });
  expect(absorption.carried).toBeCloseTo(1, 5);
  expect(found[0]!.recall).toBeLessThan(0.6);
  expect(found.map(({ latent }) => latent)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("one of two children absorbs: its share of the rows", () => {
  const { parents } = measured(absorbing([2], 1));
  const { absorbed, silent, carried } = parents[0]!;
  expect(absorbed).toBeGreaterThan(0.4);
  expect(absorbed).toBeLessThan(0.6);
  expect(silent).toBe(absorbed);
  expect(carried).toBeCloseTo(absorbed!, 5);
});

test("a silent parent that nobody carries is missed, not absorbed", () => {
  const { parents } = measured(absorbing([1, 2], 0));
  expect(parents[0]).toMatchObject({ absorbed: 0, silent: 1 });
  expect(parents[0]!.carried).toBeCloseTo(0, 5);
});

test("children that carry a part while the parent's latent is active: partial absorption", () => {
  const partial = absorbing([1, 2], 0.7).map((it, at) => (at === 0 ? faithful[0]! : it));
  const { parents } = measured(partial);
  expect(parents[0]).toMatchObject({ absorbed: 0, silent: 0 });
  expect(parents[0]!.carried).toBeCloseTo(0.7, 5);
});

test("of a parent that no latent tracks nothing is said", () => {
  const { parents, absorption } = measured([
    { ...faithful[0]!, act: () => 0 },
    ...faithful.slice(1),
  ]);
  expect(parents[0]).toMatchObject({ absorbed: null, silent: null, carried: null, recallAlone: 0 });
  expect(absorption).toEqual({ absorbed: null, carried: null });
});

test("latents that share a feature split it; fewer latents than features leave some without", () => {
  const halves = [0, 1].map((half): MadeLatent => ({
    holds: { 5: 1 },
    act: (m) => (m[5]! > 0 && m[0]! > 0 === (half === 0) ? m[5]! : 0),
  }));
  const { features: found, split } = measured([...faithful.slice(0, 5), ...halves]);
  expect(found[5]!.splitInto).toHaveLength(1);
  expect(split).toBeCloseTo(1 / 6, 10);
  expect(found.slice(0, 5).flatMap(({ splitInto }) => splitInto)).toEqual([]);
  const few = measured(faithful.slice(0, 4));
  expect(few.features.map(({ latent }) => latent)).toEqual([0, 1, 2, 3, null, null]);
  expect(few.recovery.matchedCosine).toBeCloseTo(4 / 6, 5);
});
