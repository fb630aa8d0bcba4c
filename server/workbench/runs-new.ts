/** Run files made of a few answers: complete enough to be read and changed by hand, with defaults that train well. */
import { unreachable } from "../base/errors.ts";
import type { TrainAnswers } from "../protocol/runs.ts";

/** Rows of a step; fewer for short runs, which would otherwise have too few steps to learn anything. */
const usualBatch = 2048;
const fewestSteps = 200;
const smallestBatch = 64;
/** Weight of the L1 norm beside the squared error, for activations of length √d_in. */
const defaultL1 = 2;

/** The text of run.jsonc for a few answers. */
export function newRunFile(answers: TrainAnswers, settings: { device: string }): string {
  const { name, tokens, hook } = answers;
  const batch = Math.max(
    smallestBatch,
    Math.min(usualBatch, 2 ** Math.floor(Math.log2(tokens / fewestSteps))),
  );
  const steps = Math.max(1, Math.ceil(tokens / batch));
  const run = {
    name,
    data: dataOf(answers),
    batch,
    sae: { ...(hook === undefined ? {} : { hook }), train: trainOf(answers, steps) },
    ...(settings.device === "auto" ? {} : { device: settings.device }),
  };
  const opening = `// ${name}: made by "Latent Workbench: Train SAE…". A start fills in what is left out.`;
  return `${opening}\n${JSON.stringify(run, null, 2)}\n`;
}

function dataOf(answers: TrainAnswers): Record<string, unknown> {
  const { lm, metaOf, corpus, n_ctx, prependBos } = answers;
  if (metaOf !== undefined) return { kind: "decoder-rows", sae: metaOf };
  return {
    kind: "files",
    lm,
    files: corpus,
    ...(n_ctx === undefined ? {} : { ctx: n_ctx }),
    ...(prependBos === undefined ? {} : { prependBos }),
  };
}

/** Learning rate as dictionary_learning's trainers have it: 2e-4 at 16,384 latents, falling with √d_sae; at most 1e-3. */
function trainOf(answers: TrainAnswers, steps: number): Record<string, unknown> {
  const { architecture, d_sae } = answers;
  const lr = Math.min(1e-3, 2e-4 * Math.sqrt(16_384 / d_sae));
  return {
    architecture,
    d_sae,
    steps,
    lr: Number(lr.toPrecision(2)),
    lrSchedule: {
      kind: "chained",
      warmUpSteps: Math.min(1000, Math.round(steps / 20)),
      decaySteps: Math.round(steps / 5),
    },
    normalizeActivations: { kind: "scale", batches: Math.min(20, steps) },
    ...sparsityOf(answers, steps),
  };
}

/** What decides how many latents are active. */
function sparsityOf(answers: TrainAnswers, steps: number): Record<string, unknown> {
  const { architecture, l0, l1, d_in, d_sae } = answers;
  const warmUpSteps = Math.round(steps / 20);
  switch (architecture) {
    case "topk":
    case "abstopk":
    case "batchtopk":
      return { k: l0 };
    case "matryoshka":
      return { k: l0, widths: levelsOf(d_sae) };
    case "jumprelu":
      // The error of normalised activations is at most d_in; a penalty of that size outweighs it far from the target.
      return { sparsity: { kind: "target_ratio", coefficient: d_in, targetL0: l0, warmUpSteps } };
    case "standard":
    case "gated":
      return { sparsity: { kind: "l1", coefficient: l1 ?? defaultL1, warmUpSteps } };
    default:
      return unreachable(architecture);
  }
}

/** An eighth, a quarter, half and all of the latents. */
function levelsOf(d_sae: number): number[] {
  const levels = [8, 4, 2, 1].map((share) => Math.ceil(d_sae / share));
  return [...new Set(levels)];
}
