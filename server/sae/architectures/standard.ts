import { relu } from "../../graph/ops/index.ts";
import type { Architecture } from "./architecture.ts";
import { linearParameters, preActivations, reconstructs } from "./linear-encoder.ts";

/** ReLU of the pre-activations. Bricken et al. 2023, "Towards Monosemanticity"; sae-lens@6.54 standard_sae.py. */
export const standard: Architecture = {
  name: "standard",
  ...reconstructs,
  parameters: linearParameters,
  perLatent: (vector) => ({
    bias: vector("b_enc")!,
    threshold: new Float32Array(vector("b_enc")!.length),
  }),
  encoding: { kind: "dense", acts: (pieces) => relu(preActivations(pieces)) },
};
