import type { LmConfig } from "../config.ts";
import type { Family } from "./architecture.ts";
import { llamaBlock } from "./llama.ts";
import { llamaNames, readLlamaSizes, sameLayers } from "./sizes.ts";

/** Mistral: Llama's block with a sliding window on every layer. transformers models/mistral/modeling_mistral.py. */
export const mistral: Family = {
  modelType: "mistral",
  read(reader) {
    const sizes = readLlamaSizes(reader, { family: "mistral" });
    const config: LmConfig = { ...sizes, layers: sameLayers(reader, sizes, () => true) };
    return {
      config,
      names: llamaNames(),
      absentHooks: {},
      block: (b, resid, layer) =>
        llamaBlock(b, resid, layer, { qkv: false, out: false, mlp: false }),
    };
  },
};
