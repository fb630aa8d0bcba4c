import type { Value } from "../../graph/graph.ts";
import { greater, maximum, where } from "../../graph/ops/index.ts";
import type { SaeConfig } from "../config.ts";
import type { Architecture, Pieces } from "./architecture.ts";
import { linearParameters, preActivations, reconstructs } from "./linear-encoder.ts";

/**
 * relu(preActs) where preActs > threshold, strictly, one threshold per latent.
 * Rajamanoharan et al. 2024, arXiv:2407.14435; sae-lens@6.54 jumprelu_sae.py.
 */
export const jumprelu: Architecture = {
  name: "jumprelu",
  ...reconstructs,
  parameters: thresholdParameters,
  perLatent: (vector) => ({
    bias: vector("b_enc")!,
    threshold: vector("threshold")!.map((it) => Math.max(it, 0)),
  }),
  encoding: { kind: "dense", acts: jumpreluActs },
};

/** A linear encoder's shapes and `threshold [d_sae]`. */
export function thresholdParameters(
  config: SaeConfig,
): Readonly<Record<string, readonly number[]>> {
  return { ...linearParameters(config), threshold: [config.d_sae] };
}

/** With the threshold raised to 0 one comparison does for ReLU and jump; trained thresholds can be negative. */
export function jumpreluActs(pieces: Pieces): Value {
  const preActs = preActivations(pieces);
  const threshold = maximum(pieces.weights.value("threshold"), 0);
  return where(greater(preActs, threshold), preActs, 0);
}
