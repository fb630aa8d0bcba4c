import { describe, expect, test } from "vitest";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { learningRate, warmedUp } from "../../server/training/schedules.ts";
import { goldenSchedules } from "./golden-runs.ts";

function config(options: object): TrainConfig {
  const needed = { architecture: "topk", d_in: 4, d_sae: 8, k: 2, steps: 20, lr: 0.01 };
  return parseTrainConfig({ ...needed, ...options }, "a test");
}

describe("torch's schedulers as SAELens chains them", () => {
  test.each(goldenSchedules())("$lrSchedule, $steps steps", ({ lr, steps, lrSchedule, rates }) => {
    const it = config({ lr, steps, lrSchedule });
    rates.forEach((rate, step) => expect(learningRate(it, step)).toBeCloseTo(rate, 14));
  });

  test("the lowest rate is a tenth of lr if nothing else is said", () => {
    const it = config({ lrSchedule: { kind: "chained", main: "cosineannealing" } });
    expect(learningRate(it, 20)).toBeCloseTo(0.001, 14);
  });
});

const rates = (schedule: object, steps = 10) => {
  const it = config({ lr: 1, steps, lrSchedule: { kind: "trapezoid", ...schedule } });
  return Array.from({ length: steps }, (_, step) => Math.round(learningRate(it, step) * 1e6) / 1e6);
};

describe("dictionary_learning's schedule", () => {
  test("0 at the first step, lr after the warm-up, linearly to 0 at the end", () =>
    expect(rates({ warmUpSteps: 4, decayStart: 6 })).toEqual([
      0, 0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25,
    ]));

  test("without warm-up and decay", () => expect(rates({}, 3)).toEqual([1, 1, 1]));

  test("warms up again after each resampling", () =>
    expect(rates({ warmUpSteps: 2, restartEvery: 4 })).toEqual([
      0, 0.5, 1, 1, 0, 0.5, 1, 1, 0, 0.5,
    ]));
});

test("coefficients grow from 0", () => {
  expect([0, 1, 2, 4, 9].map((step) => warmedUp(3, 4, step))).toEqual([0, 0.75, 1.5, 3, 3]);
  expect(warmedUp(3, 0, 0)).toBe(3);
});
