import type { Value } from "../../graph/graph.ts";
import { sub } from "../../graph/ops/index.ts";
import type { Pieces } from "./architecture.ts";

/** Normalised x less b_dec where the SAE subtracts it: normalisation comes first. `[tokens, d_in] -> [tokens, d_in]` */
export function centred(x: Value, { weights, config }: Pick<Pieces, "weights" | "config">): Value {
  return config.applyBDecToInput ? sub(x, weights.value("b_dec")) : x;
}
