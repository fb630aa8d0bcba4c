/** The parts that most architectures share: encoder and decoder matrices, their shapes and the pre-activations. */
import type { Value } from "../../graph/graph.ts";
import { mul } from "../../graph/ops/index.ts";
import type { SaeConfig } from "../config.ts";
import type { Pieces } from "./architecture.ts";

/** Shapes of W_enc, b_enc, W_dec and b_dec. */
export function linearParameters({
  d_in,
  d_out,
  d_sae,
}: SaeConfig): Readonly<Record<string, readonly number[]>> {
  return { W_enc: [d_in, d_sae], b_enc: [d_sae], W_dec: [d_sae, d_out], b_dec: [d_out] };
}

/** x·W_enc + b_enc, multiplied by `preScale` where the format has one. `[tokens, d_in] -> [tokens, d_sae]` */
export function preActivations({ x, weights }: Pieces): Value {
  return rescaled(weights.linear(x, "W_enc", { bias: weights.value("b_enc") }), { weights });
}

/** Pre-activations times the decoder norms that a format folds into them. `[tokens, d_sae] -> [tokens, d_sae]` */
export function rescaled(preActs: Value, { weights }: Pick<Pieces, "weights">): Value {
  return weights.has("preScale") ? mul(preActs, weights.value("preScale")) : preActs;
}

/** What an SAE that reconstructs its own input answers. */
export const reconstructs = { restoresNorm: true, addsBDec: () => true } as const;
