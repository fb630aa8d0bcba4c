/** When to write a checkpoint, and whether one is worth writing. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { CompleteRun } from "./complete-run.ts";
import type { RunningSae } from "./running-sae.ts";

/** By default at most this share of the time goes into writing … */
const timeShare = 0.02;
/** … and so many bytes a second onto the disk … */
const bytesPerSecond = 4e6;
/** … but not less often than this, and not more often than that. */
const longestSeconds = 600;
const shortestSeconds = 0.5;

/** Decides when a checkpoint is due. Its choice never changes numbers, only how much is lost by a crash. */
export class CheckpointPace {
  readonly #rule: CompleteRun["checkpoint"];
  #seconds: number;
  #step: number;
  #at: number = performance.now();

  constructor(rule: CompleteRun["checkpoint"], step: number) {
    this.#rule = rule;
    this.#step = step;
    // The first comes after the first step: it shows what one costs, and that it can be written at all.
    this.#seconds = rule.everySeconds ?? 0;
  }

  isDue(step: number): boolean {
    const { everySteps, everySeconds } = this.#rule;
    if (everySteps !== null && step - this.#step >= everySteps) return true;
    if (everySteps !== null && everySeconds === null) return false;
    return performance.now() - this.#at >= this.#seconds * 1000;
  }

  written(step: number, bytes: number, ms: number): void {
    this.#step = step;
    this.#at = performance.now();
    const wanted = Math.max(ms / 1000 / timeShare, bytes / bytesPerSecond);
    this.#seconds =
      this.#rule.everySeconds ?? Math.min(longestSeconds, Math.max(shortestSeconds, wanted));
  }
}

/** States of the SAEs that are not given up; undefined if a number in them is none. */
export function finiteStates(
  saes: readonly RunningSae[],
): Map<string, ReadonlyMap<string, Tensor>> | undefined {
  const states = new Map<string, ReadonlyMap<string, Tensor>>();
  for (const { name, trainer, ended } of saes) {
    if (ended) continue;
    const state = trainer.state();
    for (const [key, { data }] of state) {
      if (key.startsWith("parameters/") && !isFinite(data as Float32Array)) return undefined;
    }
    states.set(name, state);
  }
  return states;
}

/** A sum of zeros unless there is an infinity or NaN. */
function isFinite(values: Float32Array): boolean {
  let zero = 0;
  for (const x of values) zero += x - x;
  return zero === 0;
}
