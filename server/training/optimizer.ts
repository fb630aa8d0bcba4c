/** What happens between gradients and new parameters: projection, clipping, Adam, norms. In place, in a fixed order. */
import type { Kernels } from "../tensor/kernels.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Parameter, Parameters } from "./parameters.ts";

/** The part of a config that concerns the optimiser. */
export type OptimizerConfig = Pick<CommonConfig, "adam" | "clipGradNorm" | "decoder">;

/**
 * Takes one step with the gradients that lie in the parameters. `step` counts from 0. Returns the norm of all gradients
 * together, before clipping and after projection.
 */
export function takeStep(
  parameters: Parameters,
  config: OptimizerConfig,
  { step, lr }: { step: number; lr: number },
): number {
  const { kernels } = parameters.arena;
  const { adam, clipGradNorm, decoder } = config;
  const W_dec = parameters.get("W_dec");
  if (decoder.kind === "unit") removeParallel(kernels, W_dec, decoder.gradientEps);
  const norm = gradientNorm(kernels, parameters.all);
  // torch.nn.utils.clip_grad_norm_
  const gradScale = clipGradNorm === null ? 1 : Math.min(1, clipGradNorm / (norm + 1e-6));
  const factors = {
    ...adam,
    gradScale,
    stepSize: lr / (1 - adam.beta1 ** (step + 1)),
    rootCorrection: Math.sqrt(1 - adam.beta2 ** (step + 1)),
  };
  for (const parameter of parameters.all) kernels.adam(parameter, factors);
  if (decoder.kind === "unit") normalizeRows(kernels, W_dec, decoder.normEps);
  return norm;
}

/** √ of the sum of all squares. Bounded runs are summed in single, their sums in double precision. */
export function gradientNorm(kernels: Kernels, parameters: readonly Parameter[]): number {
  const run = 1024;
  let sum = 0;
  for (const { grad } of parameters)
    for (let at = 0; at < grad.length; at += run)
      sum += kernels.dot(grad, at, grad, at, Math.min(run, grad.length - at));
  return Math.sqrt(sum);
}

/** Norms of the rows of a matrix. `[n, m] -> [n]` */
export function rowNorms(kernels: Kernels, rows: Float32Array, out: Float32Array): Float32Array {
  const width = rows.length / out.length;
  for (let row = 0; row < out.length; row++) {
    const at = row * width;
    out[row] = Math.sqrt(kernels.dot(rows, at, rows, at, width));
  }
  return out;
}

/** Takes from each row of the gradient its part along the parameter's row. */
function removeParallel(kernels: Kernels, { dims, value, grad }: Parameter, eps: number): void {
  const [rows = 0, width = 0] = dims;
  for (let row = 0; row < rows; row++) {
    const at = row * width;
    const inverse = 1 / (Math.sqrt(kernels.dot(value, at, value, at, width)) + eps);
    const parallel = kernels.dot(grad, at, value, at, width) * inverse;
    if (parallel === 0) continue;
    const factor = parallel * inverse;
    for (let i = at; i < at + width; i++) grad[i] = grad[i]! - factor * value[i]!;
  }
}

function normalizeRows(kernels: Kernels, { dims, value }: Parameter, eps: number): void {
  const [rows = 0, width = 0] = dims;
  for (let row = 0; row < rows; row++) {
    const at = row * width;
    const norm = Math.fround(Math.sqrt(kernels.dot(value, at, value, at, width)) + eps);
    for (let i = at; i < at + width; i++) value[i] = value[i]! / norm;
  }
}
