// What a training prints for people.
import { expect, test } from "vitest";
import type { StepLine } from "../../server/engine/runs/train-loop.ts";
import { stepText } from "../../server/engine/train-lines.ts";

const line: StepLine = {
  step: 57,
  loss: 83.517,
  parts: {},
  gradNorm: 1,
  l0: 32,
  dead: 666,
  lr: 0.003,
  fvu: 0.2236,
};
const speed = { steps: 291, rowsPerSecond: 2140, etaSeconds: 424, training: 1 };

test("a step says how far the run is and how long it will take", () => {
  expect(stepText([line], speed)).toBe(
    "step 58 of 291, 2140 rows/s, 7 min 4 s left: loss 83.517  FVU 0.2236  L0 32.0  dead 666  lr 0.00300",
  );
});

test("several SAEs have a line each", () => {
  const { fvu: _, ...other } = { ...line, sae: "jumprelu" };
  const text = stepText([{ ...line, sae: "topk" }, other], { ...speed, training: 2 });
  expect(text.split("\n")).toEqual([
    "step 58 of 291, 2140 rows/s, 7 min 4 s left",
    "  topk      loss 83.517  FVU 0.2236  L0 32.0  dead 666  lr 0.00300",
    "  jumprelu  loss 83.517  L0 32.0  dead 666  lr 0.00300",
  ]);
});
