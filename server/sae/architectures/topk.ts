import { assert } from "../../base/errors.ts";
import type { Value } from "../../graph/graph.ts";
import { relu, topk as largest } from "../../graph/ops/index.ts";
import { stretchesOf, topkInStretches } from "../../graph/stretches.ts";
import type { Architecture, Pieces } from "./architecture.ts";
import { linearParameters, preActivations, reconstructs } from "./linear-encoder.ts";

/**
 * The k largest pre-activations of each token, then ReLU. Gao et al. 2024, arXiv:2406.04093.
 *
 * A token with fewer than k positive pre-activations keeps fewer than k latents, so ReLU before or after the selection
 * is the same (sae-lens@6.54 topk_sae.py has it after, sparsify and dictionary_learning before).
 */
export const topk: Architecture = {
  name: "topk",
  ...reconstructs,
  parameters: linearParameters,
  perLatent: (vector) => ({ bias: vector("b_enc")!, threshold: "measured" }),
  encoding: { kind: "selected", select: selectTopk },
};

/** The k largest and their latents, negative ones as 0. */
export function selectTopk(pieces: Pieces): { acts: Value; latents: Value } {
  const [preActs, k] = [preActivations(pieces), kOf(pieces)];
  if (pieces.inStretches) {
    const { values, places } = topkInStretches(preActs, k, Math.min(k, lengthOf(pieces.config)));
    return { acts: relu(values), latents: places };
  }
  const { values, indices } = largest(preActs, k);
  return { acts: relu(values), latents: indices };
}

/** Latents of a stretch. */
function lengthOf({ d_sae }: Pieces["config"]): number {
  return d_sae / stretchesOf(d_sae);
}

/** The SAE's k, at most d_sae. */
export function kOf({ config }: Pick<Pieces, "config">): number {
  assert(config.k !== undefined, `${config.architecture} without k`);
  return Math.min(config.k, config.d_sae);
}
