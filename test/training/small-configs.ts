/** Small configs with options that the goldens do not have, and batches for them. */
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import type { Downstream } from "../../server/training/downstream.ts";
import type { RawBatch } from "../../server/training/trainer.ts";
import { seeded } from "../random.ts";

const sizes = { d_in: 12, d_sae: 40, steps: 20, lr: 0.01 } as const;

/** A config and the width of its target, if it is a transcoder. */
interface Small {
  readonly config: TrainConfig;
  readonly target?: number;
}

function small(options: Record<string, unknown>, target?: number): Small {
  const config = parseTrainConfig({ ...sizes, ...options }, "a test");
  return { config, ...(target === undefined ? {} : { target }) };
}

const l1 = { kind: "l1", coefficient: 0.1 } as const;
const jump = { kind: "step", coefficient: 0.05 } as const;
const toMlp = { d_out: 10, applyBDecToInput: false, init: { encoder: "own" } } as const;
const perToken = ["constant_norm_rescale", "layer_norm"] as const;
const large = { d_in: 40, d_sae: 1700, lr: 0.05 } as const;
const dead = { after: 1, unit: "steps" } as const;

/** By what is special about them. */
export const smallConfigs: Readonly<Record<string, Small>> = {
  "standard, tied": small({ architecture: "standard", sparsity: l1, tied: true }),
  "standard, p 1.5": small({ architecture: "standard", sparsity: { ...l1, p: 1.5 } }),
  "standard, whitening": small({
    architecture: "standard",
    sparsity: l1,
    normalizeActivations: { kind: "covariance_whitening", batches: 3 },
  }),
  "standard, transcoder": small({ architecture: "standard", sparsity: l1, ...toMlp }, 10),
  "standard, skip transcoder": small(
    { architecture: "standard", sparsity: l1, ...toMlp, skip: true },
    10,
  ),
  ...Object.fromEntries(
    perToken.map((kind) => [
      `standard, ${kind}`,
      small({ architecture: "standard", sparsity: l1, normalizeActivations: { kind } }),
    ]),
  ),
  ...Object.fromEntries(
    perToken.map((kind) => [
      `topk, ${kind}`,
      small({ architecture: "topk", k: 5, aux: null, normalizeActivations: { kind } }),
    ]),
  ),
  "topk, tied, auxiliary loss": small({ architecture: "topk", k: 2, tied: true, dead }),
  "topk, k above the positive ones": small({ architecture: "topk", k: 38, dead }),
  "topk, whitening": small({
    architecture: "topk",
    k: 4,
    dead,
    normalizeActivations: { kind: "covariance_whitening", batches: 2 },
    applyBDecToInput: false,
  }),
  "topk, scale folded into biases": small({
    architecture: "topk",
    k: 4,
    rescaleActsByDecoderNorm: false,
    normalizeActivations: { kind: "scale", unit: "one", fold: "biases", batches: 2 },
  }),
  "abstopk, not rescaled": small({
    architecture: "abstopk",
    k: 4,
    rescaleActsByDecoderNorm: false,
    dead,
  }),
  "batchtopk, scale estimated": small({
    architecture: "batchtopk",
    k: 3,
    dead,
    normalizeActivations: { kind: "scale", batches: 2 },
  }),
  "batchtopk, transcoder, both scaled": small(
    {
      architecture: "batchtopk",
      k: 3,
      ...toMlp,
      dead,
      normalizeActivations: { kind: "scale", batches: 2 },
    },
    10,
  ),
  "batchtopk, skip transcoder": small(
    { architecture: "batchtopk", k: 3, ...toMlp, skip: true, dead },
    10,
  ),
  "batchtopk, no average yet": small({
    architecture: "batchtopk",
    k: 3.5,
    thresholdAverage: { from: "first", startStep: 100 },
  }),
  "matryoshka, a loss per level for dead latents": small({
    architecture: "matryoshka",
    k: 3,
    widths: [8, 20, 40],
    aux: { perLevel: true },
    dead,
  }),
  "matryoshka, tied, unit rows": small({
    architecture: "matryoshka",
    k: 3,
    widths: [8, 40],
    weights: [0.7, 0.3],
    tied: true,
    decoder: { kind: "unit" },
  }),
  "jumprelu, tanh, estimate to the input": small({
    architecture: "jumprelu",
    sparsity: { kind: "tanh", coefficient: 0.1 },
    steToInput: true,
    preActCoefficient: 0.01,
    dead,
  }),
  "jumprelu, tied": small({ architecture: "jumprelu", sparsity: jump, tied: true }),
  "jumprelu, transcoder": small({ architecture: "jumprelu", sparsity: jump, ...toMlp }, 10),
  "jumprelu, scale folded into biases": small({
    architecture: "jumprelu",
    sparsity: jump,
    normalizeActivations: { kind: "scale", unit: "one", fold: "biases", batches: 1 },
  }),
  "gated, whitening, b_dec not at the input": small({
    architecture: "gated",
    sparsity: l1,
    applyBDecToInput: false,
    normalizeActivations: { kind: "covariance_whitening", batches: 2 },
  }),
  "gated, p annealed": small({
    architecture: "gated",
    sparsity: {
      kind: "p_anneal",
      coefficient: 0.1,
      function: "Lp^p",
      annealStart: 1,
      annealEnd: 6,
      updates: 3,
      pEnd: 0.5,
    },
  }),
  "standard, end to end": small({
    architecture: "standard",
    sparsity: l1,
    endToEnd: { downstream: 0.5, mse: 0.3 },
    normalizeActivations: { kind: "scale", batches: 2 },
  }),
  "topk, end to end": small({ architecture: "topk", k: 5, dead, endToEnd: { kl: 2 } }),
  "batchtopk, skip transcoder, end to end": small(
    {
      architecture: "batchtopk",
      k: 3,
      ...toMlp,
      skip: true,
      dead,
      endToEnd: { mse: 1 },
      normalizeActivations: { kind: "scale", batches: 2 },
    },
    10,
  ),
  "jumprelu, attributions of a task": small({
    architecture: "jumprelu",
    sparsity: jump,
    attribution: { coefficient: 0.3, warmUpSteps: 3 },
    normalizeActivations: { kind: "scale", batches: 2 },
  }),
  "batchtopk, attributions of a task": small({
    architecture: "batchtopk",
    k: 3,
    dead,
    attribution: { coefficient: 0.3 },
  }),
  "standard, against a TopK meta-SAE": small({
    architecture: "standard",
    sparsity: l1,
    adversary: {
      coefficient: 1,
      warmUpSteps: 2,
      startStep: 1,
      stepsPerStep: 2,
      train: { architecture: "topk", k: 2, d_sae: 8, lr: 0.01 },
    },
  }),
  "batchtopk, against a Gated meta-SAE": small({
    architecture: "batchtopk",
    k: 3,
    dead,
    decoder: { kind: "unit" },
    adversary: {
      coefficient: 1,
      every: 3,
      rows: 24,
      train: {
        architecture: "gated",
        d_sae: 8,
        lr: 0.01,
        sparsity: l1,
        normalizeActivations: { kind: "scale", batches: 1 },
      },
    },
  }),
  // Large enough for lists of active latents, to which these come in the course of ten steps.
  "standard, becoming sparse": small({
    architecture: "standard",
    sparsity: { ...l1, coefficient: 4 },
    ...large,
  }),
  "jumprelu, becoming sparse": small({ architecture: "jumprelu", sparsity: jump, ...large }),
  "gated, becoming sparse": small({
    architecture: "gated",
    sparsity: { ...l1, coefficient: 4 },
    ...large,
  }),
  "standard, resampled": small({
    architecture: "standard",
    sparsity: l1,
    dead: { after: 1, unit: "steps", counted: "after_step" },
    resample: { every: 3 },
    decoder: { kind: "unit" },
    init: { b_dec: "mean" },
  }),
};

/** What comes after an SAE, as a test has it: x̂ should be sin(row + column), and should not be long. */
const downstream: Downstream = {
  async loss(x_hat, { kl, downstream: ds }) {
    let [kl_loss, downstream_loss] = [0, 0];
    const gradient = x_hat.map((it, at) => {
      const error = it - Math.sin(at);
      kl_loss += 0.1 * kl * error ** 2;
      downstream_loss += 0.01 * ds * it ** 2;
      return 0.2 * kl * error + 0.02 * ds * it;
    });
    return { parts: { kl_loss, downstream_loss }, gradient };
  },
};

/** Ten batches of 30 rows, different rows in each; with targets of a width, and with what the config's losses need. */
export function smallBatches(
  { d_in, endToEnd, attribution }: TrainConfig,
  target?: number,
): RawBatch[] {
  const random = seeded(11);
  const matrix = (rows: number, width: number): Tensor<"float32"> =>
    tensor(
      "float32",
      [rows, width],
      Float32Array.from({ length: rows * width }, (_, at) => 2 * random() - 0.7 + (at % width) / 9),
    );
  return Array.from({ length: 10 }, () => ({
    x: matrix(30, d_in),
    ...(target === undefined ? {} : { target: matrix(30, target) }),
    ...(endToEnd === null ? {} : { downstream }),
    ...(attribution === null
      ? {}
      : { task: { prompts: 2, x: matrix(41, d_in), gradient: matrix(41, target ?? d_in) } }),
  }));
}
