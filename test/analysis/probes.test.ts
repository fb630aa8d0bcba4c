// Probes against SAEBench's and scikit-learn's numbers.
import { describe, expect, test } from "vitest";
import { mainLatents, selectLatents } from "../../server/analysis/probes/k-sparse.ts";
import {
  columnOf,
  meanDifferenceProbe,
  oneHot,
  probeLogits,
} from "../../server/analysis/probes/linear-probe.ts";
import { fitLinearProbe } from "../../server/analysis/probes/linear-fit.ts";
import { fitBinary } from "../../server/analysis/probes/logistic-regression.ts";
import { selectionRecipe, trainOneVsRest } from "../../server/analysis/probes/one-vs-rest.ts";
import { areaUnderCurve, calibrationOf, scoresOf } from "../../server/analysis/probes/scores.ts";
import { golden, readArrays, readFacts, sparse } from "./goldens.ts";

const [d, nLabels] = [64, 26];
const array = readArrays(golden("k_sparse_probing.safetensors"));
const facts = readFacts(golden("k_sparse_probing.json")) as {
  k_probes: Record<
    string,
    Record<string, { feature_ids: number[]; coef: number[]; intercept: number; f1_train: number }>
  >;
  feature_splits: { f1_by_k: number[][]; f1_jump_threshold: number; split_feats: number[][] };
};
const minima = readArrays(golden("logistic.safetensors"));
const x = array("X");
const labels = oneHot(array("y"), nLabels);
const start = {
  kind: "one-vs-rest",
  nLabels,
  d,
  weights: array("W0"),
  biases: array("b0"),
} as const;

describe("SAEBench's selecting probe, 50 epochs of Adam with L1 from the same start", () => {
  test.each(["dense", "sparse"] as const)("%s rows: weights agree to 1e-4", async (kind) => {
    const rows = kind === "dense" ? { kind, d, x } : { kind, d, acts: sparse(x, d) };
    const probe = await trainOneVsRest(rows, labels, { ...selectionRecipe, start });
    expect(largestDifference(probe.weights, array("l1_probe_W"))).toBeLessThan(1e-4);
    expect(largestDifference(probe.biases, array("l1_probe_b"))).toBeLessThan(1e-4);
    for (const [k, byLabel] of Object.entries(facts.k_probes))
      for (const [label, wanted] of Object.entries(byLabel))
        expect(selectLatents(probe, Number(label), Number(k))).toEqual(wanted.feature_ids);
  });
});

describe("logistic regression on selected latents: scikit-learn's objective", () => {
  test.each(Object.keys(facts.k_probes))("k = %s", (key) => {
    const k = Number(key);
    for (const [label, wanted] of Object.entries(facts.k_probes[key]!)) {
      const rows = columns(wanted.feature_ids);
      const y = columnOf(labels, Number(label));
      const found = fitBinary(rows, y, { balanced: true });
      // Run to its minimum, scikit-learn has the same weights.
      const exact = minima(`${k}.${label}`);
      expect(largestDifference([...found.weights, found.bias], exact)).toBeLessThan(1e-5);
      // By default it stops where no derivative of the mean loss is above 1e-4, a little before the minimum: the only rows
      // it answers otherwise lie at the boundary.
      const theirs = { weights: wanted.coef, bias: wanted.intercept };
      expect(lossOf(found, rows, y)).toBeLessThanOrEqual(lossOf(theirs, rows, y) + 1e-9);
      const [ours, others] = [logitsOf(found, rows), logitsOf(theirs, rows)];
      for (const [row, z] of ours.entries())
        if (z > 0 !== others[row]! > 0) expect(Math.abs(z)).toBeLessThan(5e-3);
      const theirF1 = scoresOf(
        others.map((z) => z > 0),
        y,
      ).f1;
      expect(theirF1).toBeCloseTo(wanted.f1_train, 6);
    }
  });
});

test("multinomial logistic regression agrees with scikit-learn's minimum", () => {
  const options = { loss: "multinomial", C: 1, tolerance: 1e-7 } as const;
  const found = fitLinearProbe({ d, x }, labels, options);
  // Products are float32: derivatives are known to about 1e-6, and the smallest curvature is 1/(C·rows) = 2e-3.
  expect(largestDifference(found.weights, minima("multinomial.weights"))).toBeLessThan(5e-4);
  expect(largestDifference(found.biases, minima("multinomial.biases"))).toBeLessThan(5e-4);
});

test("one-vs-rest agrees with each label by itself; on standardised rows the answers stay", () => {
  const options = { loss: "one-vs-rest", C: 1, tolerance: 1e-7 } as const;
  const found = fitLinearProbe({ d, x }, labels, options);
  const alone = fitBinary({ nRows: x.length / d, d, x }, columnOf(labels, 3));
  expect(largestDifference(found.weights.subarray(3 * d, 4 * d), alone.weights)).toBeLessThan(1e-4);
  const wide = fitLinearProbe(
    { d, x: x.map((it, i) => (i % d === 0 ? 50 * it + 900 : it)) },
    labels,
    {
      ...options,
      standardize: true,
    },
  );
  const plain = fitLinearProbe({ d, x }, labels, { ...options, standardize: true });
  expect(wide.weights[5 * d]! * 50).toBeCloseTo(plain.weights[5 * d]!, 3);
});

test("difference of means: directions between means, boundaries halfway, calibration and AUC of known scores", () => {
  const points = Float32Array.of(0, 0, 2, 0, 0, 4, 2, 4);
  const probe = meanDifferenceProbe(points, 2, oneHot([0, 0, 1, 1], 2));
  expect([...probe.weights]).toEqual([0, -4, 0, 4]);
  expect([...probe.biases]).toEqual([8, -8]);
  expect(areaUnderCurve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(0.75);
  expect(areaUnderCurve([1, 1], [0, 1])).toBe(0.5);
  const { error, bins } = calibrationOf([0.05, 0.05, 0.95, 0.95], [0, 1, 1, 1]);
  expect(error).toBeCloseTo(0.25, 6);
  expect(bins[0]).toMatchObject({ rows: 2, share: 0.5 });
});

test("feature splits by SAEBench's rule", () => {
  const { f1_by_k, f1_jump_threshold, split_feats } = facts.feature_splits;
  for (const [label, f1s] of f1_by_k.entries()) {
    const byK = f1s.map((f1, at) => ({
      latents: Array.from({ length: at + 1 }, (_, i) => 100 * label + i),
      scores: { f1 },
    }));
    expect(mainLatents(byK, f1_jump_threshold)).toEqual(split_feats[label]);
  }
});

test("a probe's logits are w·x + b", () => {
  const logits = probeLogits(start, x.subarray(0, 2 * d));
  let sum = start.biases[3]!;
  for (let i = 0; i < d; i++) sum += x[d + i]! * start.weights[3 * d + i]!;
  expect(logits[nLabels + 3]).toBeCloseTo(sum, 5);
});

/** Some columns of the rows. */
function columns(latents: readonly number[]): { nRows: number; d: number; x: Float32Array } {
  const k = latents.length;
  const part = Float32Array.from(
    { length: (x.length / d) * k },
    (_, at) => x[Math.floor(at / k) * d + latents[at % k]!]!,
  );
  return { nRows: x.length / d, d: k, x: part };
}

function logitsOf(
  { weights, bias }: { weights: ArrayLike<number>; bias: number },
  rows: { nRows: number; d: number; x: Float32Array },
): number[] {
  return Array.from({ length: rows.nRows }, (_, row) => {
    let z = bias;
    for (let i = 0; i < rows.d; i++) z += weights[i]! * rows.x[row * rows.d + i]!;
    return z;
  });
}

/** scikit-learn's objective with balanced weights, C = 1. */
function lossOf(
  { weights, bias }: { weights: ArrayLike<number>; bias: number },
  rows: { nRows: number; d: number; x: Float32Array },
  y: Uint8Array,
): number {
  const positives = y.reduce((sum, it) => sum + it, 0);
  let loss = 0;
  for (let i = 0; i < rows.d; i++) loss += weights[i]! ** 2 / 2;
  for (const [row, z] of logitsOf({ weights, bias }, rows).entries()) {
    const weight = rows.nRows / 2 / (y[row] === 1 ? positives : rows.nRows - positives);
    loss += weight * Math.log1p(Math.exp(y[row] === 1 ? -z : z));
  }
  return loss;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}
