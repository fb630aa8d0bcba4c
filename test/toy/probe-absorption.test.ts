/**
 * The probe-based rule on toys: labels are planted features, words are rows, and whether a row is absorbed is known, because
 * the hierarchy that makes absorption worth its while was planted or was not.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { fitLinearProbe } from "../../server/analysis/probes/linear-fit.ts";
import { areaUnderCurve } from "../../server/analysis/probes/scores.ts";
import { measureSae } from "../../server/engine/absorption/measure-sae.ts";
import type { ProbeStage } from "../../server/engine/absorption/word-activations.ts";
import {
  wordRows,
  type WordPlan,
  type WordRows,
} from "../../server/engine/absorption/word-plan.ts";
import type { LoadedSae } from "../../server/engine/loaded.ts";
import type { AbsorptionReport } from "../../server/protocol/absorption.ts";
import type { ToyKnobs } from "../../server/protocol/toy.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import type { Samples } from "../../server/toy/feature-set.ts";
import { type TrainedToy, trainToy } from "./trained-toy.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const rows = 3000;

/** A row in which a parent is active, as the rule judged it. */
interface JudgedRow {
  readonly isPlanted: boolean;
  readonly fraction: number;
  readonly isFull: boolean;
}

/** Measures a toy as any SAE is measured, with its parents as labels. */
async function reportOf(toy: TrainedToy, parents: readonly number[]): Promise<AbsorptionReport> {
  const d = toy.set.d_in;
  const train = wordsOf(toy, toy.set.batch(toy.steps + 1, rows), parents);
  const held = wordsOf(toy, toy.set.test(rows), parents);
  const probe = fitLinearProbe({ d, x: train.x }, train.labels, {
    loss: "one-vs-rest",
    C: 1 / (2e-3 * rows),
    standardize: true,
    tolerance: 1e-4,
  });
  const stage: ProbeStage = { key: "toy", d, train, test: held, judged: held, probe };
  const plan = {
    lm: { id: "toy" },
    task: { name: "parents", labels: parents.map(String) },
    setting: "prompts",
    probe: "logistic",
    judge: "held-out",
    selection: "mean-difference",
    seed: 0,
    maxK: 4,
  } as unknown as WordPlan;
  const info = { d_sae: toy.sae.config.d_sae, hook: "toy" };
  const loaded = { id: "toy", sae: toy.sae, info } as unknown as LoadedSae;
  return measureSae(plan, stage, loaded, { step: (job) => job(), onProgress: () => {} });
}

/** Rows as words: a row's number is its id and its text. */
function wordsOf(
  { set }: TrainedToy,
  { x, magnitudes }: Samples,
  parents: readonly number[],
): WordRows {
  const n = set.features.length;
  const words = Array.from({ length: rows }, (_, row) => ({
    id: row,
    text: String(row),
    labels: parents.flatMap((parent, label) => (magnitudes[row * n + parent]! > 0 ? [label] : [])),
  }));
  return wordRows(words, x.data, parents.length);
}

/** What toys with some knobs were judged as. */
interface Judged {
  /** Rows with a parent; planted if a child goes with it by a hierarchy. */
  readonly rows: readonly JudgedRow[];
  /** Mean number of main latents of a parent. */
  readonly mainLatents: number;
}

async function judged(
  { childFrequency, ...knobs }: ToyKnobs & { childFrequency: number },
  seeds: readonly number[],
): Promise<Judged> {
  const found: JudgedRow[] = [];
  const main: number[] = [];
  for (const seed of seeds) {
    const toy = await trainToy(
      device,
      { features: 8, parents: 2, children: 2, steps: 2000, ...knobs, seed },
      { d_in: 12, features: { deviation: 0.15, childFrequency }, sae: { lr: 0.01 } },
    );
    const { features } = toy.set;
    const children = features.flatMap(({ link }, child) =>
      link?.kind === "child" ? [{ child, parent: link.with }] : [],
    );
    const parents = [...new Set(children.map(({ parent }) => parent))];
    const { magnitudes } = toy.set.test(rows);
    const isActive = (row: string, feature: number): boolean =>
      magnitudes[Number(row) * features.length + feature]! > 0;
    for (const { label, words, ...report } of (await reportOf(toy, parents)).labels) {
      main.push(report.main.length);
      for (const { word, fraction, isFull } of words) {
        const hasChild = children.some(
          ({ child, parent }) => parent === Number(label) && isActive(word, child),
        );
        found.push({ isPlanted: knobs.hierarchy === 1 && hasChild, fraction, isFull });
      }
    }
    await toy.sae.release();
  }
  return { rows: found, mainLatents: main.reduce((sum, it) => sum + it, 0) / main.length };
}

test("absorption is found where it was planted, and not where it was not: ROC over rows", async () => {
  const seeds = [0, 1, 2];
  const childFrequency = 0.02;
  const planted = await judged({ hierarchy: 1, childFrequency }, seeds);
  const unplanted = await judged({ hierarchy: 0, childFrequency }, seeds);
  const all = [...planted.rows, ...unplanted.rows];
  const positives = all.filter((it) => it.isPlanted);
  const negatives = all.filter((it) => !it.isPlanted);
  const points = [0.99, 0.9, 0.75, 0.5, 0.25, 0.01].map(
    (from) => `${share(negatives, from).toFixed(3)}/${share(positives, from).toFixed(3)} (${from})`,
  );
  const area = areaUnderCurve(
    all.map((it) => it.fraction),
    all.map((it) => (it.isPlanted ? 1 : 0)),
  );
  process.stdout.write(
    `probe-based rule on toys: ${positives.length} planted rows, ${negatives.length} others; area under the ROC curve ${area.toFixed(3)}; ` +
      `false/true positives (from this fraction) ${points.join(" ")}\n`,
  );
  expect(positives.length).toBeGreaterThan(200);
  expect(area).toBeGreaterThan(0.98);
  expect(share(negatives, 0.01)).toBeLessThan(0.01);
  expect(negatives.filter((it) => it.isFull)).toEqual([]);
});

test("a child that goes with its parent often is a split to the rule: its latent counts as main", async () => {
  const knobs = { hierarchy: 1, children: 1, childFrequency: 0.08 };
  const { rows: found, mainLatents } = await judged(knobs, [0]);
  const positives = found.filter((it) => it.isPlanted);
  expect(positives.length).toBeGreaterThan(200);
  expect(mainLatents).toBe(2);
  expect(positives.filter((it) => it.isFull)).toEqual([]);
  expect(positives.filter((it) => it.fraction > 0.01).length / positives.length).toBeLessThan(0.05);
});

/** Share of rows with this fraction or more. */
function share(list: readonly JudgedRow[], from: number): number {
  return list.filter((it) => it.fraction >= from).length / list.length;
}
