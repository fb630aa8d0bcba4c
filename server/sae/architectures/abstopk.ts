import { abs, gatherElements, topk as largest } from "../../graph/ops/index.ts";
import type { Architecture } from "./architecture.ts";
import { linearParameters, preActivations, reconstructs } from "./linear-encoder.ts";
import { kOf } from "./topk.ts";

/** The k pre-activations of largest magnitude, signs kept, so that a latent fires in either direction. sae-lens@6.54 abstopk_sae.py. */
export const abstopk: Architecture = {
  name: "abstopk",
  ...reconstructs,
  parameters: linearParameters,
  encoding: {
    kind: "selected",
    select(pieces) {
      const preActs = preActivations(pieces);
      const { indices } = largest(abs(preActs), kOf(pieces));
      return { acts: gatherElements(preActs, indices, 1), latents: indices };
    },
  },
};
