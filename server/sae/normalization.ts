/** Per-token normalisation of x before encoding and its reversal after decoding, as in SAELens@6 `saes/sae.py`. */
import { unreachable } from "../base/errors.ts";
import type { Value } from "../graph/graph.ts";
import { add, div, maximum, mul, reduceMean, reduceSum, sqrt, sub } from "../graph/ops/index.ts";
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
