/** Per-token normalisation of x before encoding and its reversal after decoding, as in SAELens@6 `saes/sae.py`. */
import { unreachable } from "../base/errors.ts";
import type { Value } from "../graph/graph.ts";
import { add, div, maximum, mul, reduceMean, reduceSum, sqrt, sub } from "../graph/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Normalization } from "./config.ts";

/** Normalised x, and how an output of the SAE gets back to the scale of x. */
export interface Normalized {
  readonly x: Value;
  undo(x_hat: Value): Value;
}

/** Normalises x. `[tokens, d_in] -> [tokens, d_in]` */
export function normalize(x: Value, normalization: Normalization): Normalized {
  const d_in = Number(x.dims[1]);
  switch (normalization.kind) {
    case "none":
      return { x, undo: (x_hat) => x_hat };
    case "scale": {
      const { factor } = normalization;
      return { x: mul(x, factor), undo: (x_hat) => mul(x_hat, 1 / factor) };
    }
    case "constant_norm_rescale": {
      const norm = sqrt(reduceSum(mul(x, x), [1], true));
      // A row of zeros stays one; SAELens divides by zero there.
      const factor = div(Math.sqrt(d_in), maximum(norm, 1e-30));
      return { x: mul(x, factor), undo: (x_hat) => div(x_hat, factor) };
    }
    case "layer_norm": {
      const mean = reduceMean(x, [1], true);
      const centred = sub(x, mean);
      const variance = mul(reduceSum(mul(centred, centred), [1], true), 1 / (d_in - 1));
      const std = sqrt(variance);
      return {
        x: div(centred, add(std, 1e-5)),
        undo: (x_hat) => add(mul(x_hat, std), mean),
      };
    }
    default:
      return unreachable(normalization);
  }
}

/** Whether undoing needs the x of the same tokens. */
export function needsInput({ kind }: Normalization): boolean {
  return kind === "constant_norm_rescale" || kind === "layer_norm";
}

/** What undoing multiplies each row of x_hat by, where that depends on the row. `[tokens, d_in] -> [tokens]` */
export function undoFactors(
  { dims: [nRows = 0, d_in = 0], data }: Tensor<"float32">,
  { kind }: Normalization,
): Float64Array | undefined {
  if (kind !== "constant_norm_rescale" && kind !== "layer_norm") return undefined;
  return Float64Array.from({ length: nRows }, (_, row) => {
    const x = data.subarray(row * d_in, (row + 1) * d_in);
    const squares = x.reduce((sum, value) => sum + value * value, 0);
    if (kind === "constant_norm_rescale") return Math.sqrt(squares / d_in);
    const mean = x.reduce((sum, value) => sum + value, 0) / d_in;
    const spread = x.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return Math.sqrt(spread / (d_in - 1));
  });
}
