import type { ConfigReader, LmConfig } from "../config.ts";
import { llamaModules } from "../gguf.ts";
import type { Family } from "./architecture.ts";
import { llamaBlock } from "./llama.ts";
import { llamaNames, readLlamaSizes, sameLayers } from "./sizes.ts";

/** Qwen2 and Qwen2.5: Llama's block with biases on queries, keys and values. transformers models/qwen2/modeling_qwen2.py. */
export const qwen2: Family = {
  modelType: "qwen2",
  read(reader) {
    const sizes = readLlamaSizes(reader, { family: "qwen2" });
    const config: LmConfig = {
      ...sizes,
      layers: sameLayers(reader, sizes, qwenWindows(reader)),
    };
    return {
      config,
      names: llamaNames(),
      absentHooks: {},
      block: (b, resid, layer) =>
        llamaBlock(b, resid, layer, { qkv: true, out: false, mlp: false }),
    };
  },
  gguf: {
    architecture: "qwen2",
    modules: llamaModules,
    interleaved: false,
    normsPlusOne: false,
  },
};

/** The rule before `layer_types`: with use_sliding_window, the layers from max_window_layers on. */
export function qwenWindows(reader: ConfigReader): (layer: number) => boolean {
  const slides = reader.boolean("use_sliding_window", false);
  return (layer) => slides && layer >= reader.number("max_window_layers", 28);
}
