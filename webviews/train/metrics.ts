/** The curves of the page, in words. */
import type { RunMetric } from "../../server/protocol/runs.ts";

/** A curve as the page offers and explains it. */
export interface MetricText {
  readonly metric: RunMetric;
  readonly name: string;
  readonly meaning: string;
}

/** All curves in the order of the page. */
export const metrics: readonly MetricText[] = [
  { metric: "loss", name: "Loss", meaning: "What the optimiser lowers; scales differ by trainer." },
  { metric: "fvu", name: "FVU", meaning: "Squared error over the variance of the activations." },
  { metric: "l0", name: "L0", meaning: "Active latents per token." },
  { metric: "dead", name: "Dead latents", meaning: "Latents that have been silent for too long." },
  { metric: "lr", name: "Learning rate", meaning: "The rate of each step." },
  { metric: "rowsPerSecond", name: "Tokens per second", meaning: "Speed of the run." },
];
