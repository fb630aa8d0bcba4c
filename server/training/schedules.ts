/** Learning rates and coefficients as functions of the step, with the exact values of torch's schedulers. */
import type { CommonConfig } from "./common-config.ts";

/** The rate that a step (counted from 0) uses. */
export function learningRate(
  config: Pick<CommonConfig, "lr" | "lrSchedule" | "steps">,
  step: number,
): number {
  const { lr, lrSchedule: schedule, steps } = config;
  if (schedule.kind === "trapezoid") return lr * trapezoid(schedule, step, steps);
  const { warmUpSteps, decaySteps } = schedule;
  // torch's LinearLR from 1/warmUpSteps to 1 in warmUpSteps − 1 steps.
  if (step < warmUpSteps) return (lr * (step + 1)) / warmUpSteps;
  const decayFrom = steps - decaySteps;
  if (decaySteps > 0 && step >= decayFrom) {
    const left = 1 - Math.min(step - decayFrom, decaySteps) / decaySteps;
    return lowest(schedule, lr) * left;
  }
  return mainRate(schedule, lr, { at: step - warmUpSteps, of: decayFrom - warmUpSteps });
}

/** A coefficient that grows linearly from 0 at step 0 to `value` at step `warmUpSteps`. */
export function warmedUp(value: number, warmUpSteps: number, step: number): number {
  return warmUpSteps > 0 ? value * Math.min(step / warmUpSteps, 1) : value;
}

type Chained = Extract<CommonConfig["lrSchedule"], { kind: "chained" }>;
type Trapezoid = Extract<CommonConfig["lrSchedule"], { kind: "trapezoid" }>;

/** Factor of dictionary_learning's `get_lr_schedule`. */
function trapezoid(
  { warmUpSteps, decayStart, restartEvery }: Trapezoid,
  step: number,
  steps: number,
): number {
  if (restartEvery !== null)
    return warmUpSteps === 0 ? 1 : Math.min((step % restartEvery) / warmUpSteps, 1);
  if (step < warmUpSteps) return step / warmUpSteps;
  if (decayStart !== null && step >= decayStart)
    return Math.max(0, steps - step) / (steps - decayStart);
  return 1;
}

/** Where the decay begins: a constant rate has nowhere lower to go. */
function lowest({ main, lrEnd }: Chained, lr: number): number {
  return main === "constant" ? lr : (lrEnd ?? lr / 10);
}

/** Between warm-up and decay: step `at` of `of`. */
function mainRate(schedule: Chained, lr: number, { at, of }: { at: number; of: number }): number {
  if (schedule.main === "constant") return lr;
  const restarts = schedule.main === "cosineannealingwarmrestarts";
  const period = Math.max(1, restarts ? Math.floor(of / schedule.cycles) : of);
  const phase = (restarts ? at % period : at) / period;
  const end = lowest(schedule, lr);
  return end + ((lr - end) * (1 + Math.cos(Math.PI * phase))) / 2;
}
