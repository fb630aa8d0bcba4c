/** What is computed from activations before training: factors, whitening, medians; and the search for the largest. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { importTrainConfig } from "../../server/training/import-config.ts";
import { geometricMedian, meanRow } from "../../server/training/geometric-median.ts";
import { largestOf } from "../../server/training/largest.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { symmetricEigen } from "../../server/training/symmetric-eigen.ts";
import { openTrainer } from "../../server/training/trainer.ts";
import { seeded } from "../random.ts";
import { goldenBatches, goldenHyper, goldenRun } from "./golden-runs.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

describe("activation normalisation, estimated", () => {
  test("the scaling factor is SAELens's", async () => {
    const name = "sae-lens/standard_norm_folded";
    const hyper = goldenHyper(name);
    const trainerCfg = { ...(hyper["trainer_cfg"] as object), n_batches_for_norm_estimate: 10 };
    const config = importTrainConfig(
      { ...hyper, scaling_factor: null, trainer_cfg: trainerCfg },
      name,
    );
    const trainer = await openTrainer(config, device, goldenRun(name).init);
    expect(trainer.observations).toBe(10);
    const batches = goldenBatches();
    await expect(trainer.step(batches[0]!)).rejects.toMatchObject({
      code: "training-statistics-missing",
    });
    for (const batch of batches) await trainer.observe(batch);
    const { loss } = await trainer.step(batches[0]!);
    expect(loss).toBeCloseTo(goldenRun(name).log[0]!.loss, 4);
    const [factor] = trainer.state().get("normalization/factors")!.data as Float64Array;
    expect(factor).toBeCloseTo(hyper["scaling_factor"] as number, 7);
    await trainer.release();
  });

  test("the whitening is SAELens's up to the signs of its directions", async () => {
    const name = "sae-lens/topk_whitening";
    const run = goldenRun(name);
    const { normalizeActivations, ...rest } = run.config;
    const config = { ...rest, normalizeActivations: { ...normalizeActivations, batches: 10 } };
    const trainer = await openTrainer(config as typeof run.config, device);
    const batches = goldenBatches();
    for (const batch of batches) await trainer.observe(batch);
    await trainer.step(batches[0]!);
    const found = (key: string) =>
      trainer.state().get(`normalization/${key}`)!.data as Float64Array;
    const wanted = (key: string) => run.tensors("whitening").get(key)!.data as Float64Array;
    found("mean").forEach((it, i) => expect(it).toBeCloseTo(wanted("mean")[i]!, 10));
    const [mine, theirs] = [found("matrix"), wanted("matrix")];
    const d = 32;
    // Eigenvalues ascend in both, so columns correspond.
    for (let column = 0; column < d; column++) {
      const sign = Math.sign(mine[column]! * theirs[column]!);
      for (let row = 0; row < d; row++) {
        const at = row * d + column;
        expect(sign * mine[at]!).toBeCloseTo(theirs[at]!, 8);
      }
    }
    await trainer.release();
  });
});

test.each([1, 2, 3, 17, 60])("eigenvectors of a symmetric matrix, n = %i", (n) => {
  const random = seeded(n);
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      // A few zeros, and a direction that is an eigenvector from the start.
      const value = i === n - 1 && j < i ? 0 : random() < 0.2 ? 0 : random() - 0.5;
      matrix[i * n + j] = value;
      matrix[j * n + i] = value;
    }
  const { values, vectors } = symmetricEigen(matrix, n);
  for (let e = 0; e < n; e++) {
    const v = vectors.subarray(e * n, (e + 1) * n);
    if (e > 0) expect(values[e]!).toBeGreaterThanOrEqual(values[e - 1]!);
    for (let i = 0; i < n; i++) {
      const product = v.reduce((sum, it, j) => sum + matrix[i * n + j]! * it, 0);
      expect(product).toBeCloseTo(values[e]! * v[i]!, 12);
    }
    for (let other = 0; other <= e; other++) {
      const along = v.reduce((sum, it, j) => sum + it * vectors[other * n + j]!, 0);
      expect(along).toBeCloseTo(other === e ? 1 : 0, 12);
    }
  }
});

describe("the geometric median", () => {
  test("of points of which most are one", () => {
    const rows = Float32Array.from([1, 2, 1, 2, 1, 2, 50, -7, 3, 90]);
    geometricMedian(rows, 2).forEach((it, i) => expect(it).toBeCloseTo([1, 2][i]!, 2));
    expect([...meanRow(rows, 2)]).toEqual([11.2, 17.8]);
  });

  test("of one point", () =>
    expect([...geometricMedian(Float32Array.of(3, 4), 2)]).toEqual([3, 4]));
});

describe("the largest of many", () => {
  test("as sorting finds them", () => {
    const random = seeded(3);
    for (let round = 0; round < 50; round++) {
      const n = 1 + Math.floor(random() * 300);
      const values = Float32Array.from(
        { length: n },
        () => Math.ceil(random() * 40) / 8 ** (round % 5),
      );
      const wanted = 1 + Math.floor(random() * (n + 5));
      const cut = round % (n + 1);
      const lists = [values.subarray(0, cut), values.subarray(cut)];
      const { count, least, ties } = largestOf(lists, wanted);
      const sorted = values.toSorted().toReversed();
      expect(count).toBe(Math.min(wanted, n));
      expect(least).toBe(sorted[count - 1]);
      expect(ties).toBe(sorted.slice(0, count).filter((it) => it === least).length);
    }
  });

  test("of none", () => expect(largestOf([], 5)).toEqual({ count: 0, least: Infinity, ties: 0 }));
});

const firstOf = (...seeds: number[]) => new SeededRandom(...seeds).uniform();

test("random numbers depend on every seed, and draw in proportion to weights", () => {
  expect(
    new Set([firstOf(0), firstOf(1), firstOf(1, 0), firstOf(1, 1), firstOf(2 ** 40)]).size,
  ).toBe(5);
  expect(firstOf(5, 7)).toBe(firstOf(5, 7));
  const random = new SeededRandom(1);
  const drawn = new Float64Array(4);
  for (let round = 0; round < 20_000; round++)
    for (const index of random.draw(Float64Array.of(1, 2, 0, 5), 1)) drawn[index]!++;
  expect([...drawn].map((it) => Math.round((it / 20_000) * 8 * 10) / 10)).toEqual([1, 2, 0, 5]);
  expect(random.draw(Float64Array.of(1, 2, 0, 5), 3).toSorted((a, b) => a - b)).toEqual([0, 1, 3]);
  let [sum, squares] = [0, 0];
  for (let at = 0; at < 20_000; at++) {
    const it = random.normal();
    sum += it;
    squares += it * it;
  }
  expect(Math.abs(sum / 20_000)).toBeLessThan(0.02);
  expect(squares / 20_000).toBeCloseTo(1, 1);
});
