// Latents that tell two sets of examples apart: planted ones are found, scores are of what nothing was chosen by.
import { expect, test } from "vitest";
import { type ExampleRows, findLatents } from "../../server/analysis/finding/find-latents.ts";
import { bestThreshold } from "../../server/analysis/probes/scores.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { SparseRows } from "../../server/sae/sparse-acts.ts";

const [d_sae, d] = [60, 12];
const [forFirst, forSecond, half, other] = [7, 9, 20, 21];

/**
 * Latent 7 fires in the first set and 9 in the second; 20 and 21 each in one half of the first set, so only together they
 * say it; all others at random. The residual has the set in its first entry, weakly.
 */
function planted(
  nPerSet: number,
  { signal, seed = 0 }: { signal: boolean; seed?: number },
): ExampleRows {
  const random = new SeededRandom(seed, 77);
  const n = 2 * nPerSet;
  const acts = new SparseRows(n);
  const positive = Uint8Array.from({ length: n }, (_, row) => Number(row < nPerSet));
  const x = Float32Array.from({ length: n * d }, () => random.normal());
  for (let row = 0; row < n; row++) {
    const own = new Map<number, number>();
    for (let latent = 0; latent < d_sae; latent++)
      if (random.uniform() < 0.3) own.set(latent, random.uniform() * 5);
    for (const latent of [forFirst, forSecond, half, other]) own.delete(latent);
    if (signal) {
      const is = positive[row] === 1;
      // Strong where it belongs, weak in a few others: a threshold is needed.
      if (is || row % 10 === 0) own.set(forFirst, is ? 3 + random.uniform() : 0.5);
      if (!is && row % 8 !== 0) own.set(forSecond, 2);
      if (is) own.set(row % 2 === 0 ? half : other, 2);
      x[row * d]! += is ? 1 : -1;
    }
    const sorted = [...own].toSorted(([, a], [, b]) => b - a);
    acts.set(
      row,
      Int32Array.from(sorted, ([it]) => it),
      Float32Array.from(sorted, ([, it]) => it),
    );
  }
  return { acts: acts.finish(), x, d, positive };
}

test("planted latents come first, each with its set, and their held-out scores are what they are", () => {
  const rows = planted(60, { signal: true });
  const found = findLatents(rows, { d_sae, seed: 0, most: 10 });
  expect(found).toMatchObject({
    positives: 60,
    negatives: 60,
    heldPositives: 30,
    heldNegatives: 30,
  });
  const [first, second] = found.latents;
  expect(first).toMatchObject({ latent: forFirst, set: "positive", auc: 1, f1: 1, trainAuc: 1 });
  expect(second).toMatchObject({ latent: forSecond, set: "negative", positiveShare: 0 });
  // Silent in 7 or 8 of 60, so at best (1 + 0.87) / 2.
  expect(second!.auc).toBeGreaterThan(0.88);
  expect(second!.auc).toBeLessThan(1);
  expect(first!.positiveMean).toBeGreaterThan(3);
  expect(first!.negativeShare).toBeCloseTo(0.1, 12);
  expect(
    found.latents
      .slice(2, 4)
      .map(({ latent }) => latent)
      .toSorted((a, b) => a - b),
  ).toEqual([half, other]);
  for (const { latent, auc } of found.latents.slice(4)) {
    expect(latent).not.toBe(forFirst);
    expect(Math.abs(auc - 0.5)).toBeLessThan(0.25);
  }
  expect(found.notes).toEqual([]);
});

test("combinations of up to four, the best first, and a baseline beside them", () => {
  const rows = planted(60, { signal: true });
  // Without the one latent that says it all, two that say half each have to come together.
  const acts = rows.acts.acts.map((act, at) => (rows.acts.latents[at] === forFirst ? 0 : act));
  const found = findLatents({ ...rows, acts: { ...rows.acts, acts } }, { d_sae, seed: 3, most: 5 });
  const [one, two] = found.combinations;
  expect(found.combinations.map(({ latents }) => latents.length)).toEqual([1, 2, 3, 4]);
  expect(two!.latents.toSorted((a, b) => a - b)).toEqual([half, other]);
  expect(one!.auc).toBeLessThan(0.9);
  expect(two!).toMatchObject({ auc: 1, f1: 1 });
  expect(found.baseline.auc).toBeGreaterThan(0.8);
  expect(found.baseline.auc).toBeLessThan(1);
});

test("where there is nothing to find, what chooses looks good and what is held out does not", () => {
  let [chosen, held, probe, n] = [0, 0, 0, 0];
  for (let seed = 0; seed < 12; seed++) {
    const rows = planted(12, { signal: false, seed });
    const { latents, baseline, notes } = findLatents(rows, { d_sae, seed, most: 3 });
    expect(notes[0]).toMatch(/only 6 and 6 examples are held out.*1\/36/);
    for (const { trainAuc, auc } of latents) {
      chosen += trainAuc;
      held += auc;
      n++;
    }
    probe += baseline.auc / 12;
  }
  expect(chosen / n).toBeGreaterThan(0.8);
  expect(Math.abs(held / n - 0.5)).toBeLessThan(0.1);
  expect(Math.abs(probe - 0.5)).toBeLessThan(0.15);
});

test("the split depends on the seed alone; too few examples are refused", () => {
  const rows = planted(10, { signal: true });
  const found = (seed: number) => findLatents(rows, { d_sae, seed, most: 60 });
  expect(found(1)).toEqual(found(1));
  expect(found(1)).not.toEqual(found(2));
  const few = planted(3, { signal: true });
  expect(() => findLatents(few, { d_sae, seed: 0, most: 5 })).toThrow(
    /there are 3 and 3 examples: each set needs 4/,
  );
});

test("the best threshold lies between two scores, never within a tie", () => {
  expect(bestThreshold([3, 2, 1, 0], [1, 1, 0, 0])).toEqual({ threshold: 1.5, f1: 1 });
  expect(bestThreshold([2, 2, 2, 0], [1, 1, 0, 1])).toEqual({ threshold: 1, f1: 4 / 6 });
  expect(bestThreshold([0, 0], [1, 0])).toEqual({ threshold: 0, f1: 0 });
});
