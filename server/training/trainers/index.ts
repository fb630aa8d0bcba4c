/** The architectures that can be trained. */
import * as v from "valibot";
import type { TrainerKind } from "../form.ts";
import { abstopk, abstopkSchema } from "./abstopk.ts";
import { batchtopk, batchtopkSchema } from "./batchtopk.ts";
import { gated, gatedSchema } from "./gated.ts";
import { jumprelu, jumpreluSchema } from "./jumprelu.ts";
import { matryoshka, matryoshkaSchema } from "./matryoshka.ts";
import { standard, standardSchema } from "./standard.ts";
import { topk, topkSchema } from "./topk.ts";

/** A complete config of any architecture. */
export const trainSchema = v.variant("architecture", [
  standardSchema,
  topkSchema,
  batchtopkSchema,
  matryoshkaSchema,
  jumpreluSchema,
  gatedSchema,
  abstopkSchema,
]);

/** A training config: a complete value, the same as JSON. */
export type TrainConfig = v.InferOutput<typeof trainSchema>;

const kinds: { readonly [A in TrainConfig["architecture"]]: unknown } = {
  standard,
  topk,
  batchtopk,
  matryoshka,
  jumprelu,
  gated,
  abstopk,
};

/** The architecture of a config. */
export function kindOf(config: TrainConfig): TrainerKind<TrainConfig> {
  return kinds[config.architecture] as TrainerKind<TrainConfig>;
}
