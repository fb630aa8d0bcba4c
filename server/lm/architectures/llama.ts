import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LmConfig } from "../config.ts";
import { llamaModules } from "../gguf.ts";
import { gatedMlp } from "../mlp.ts";
import type { Architecture, Family } from "./architecture.ts";
import { llamaNames, readLlamaSizes, sameLayers } from "./sizes.ts";

/**
 * Llama 1 to 3 and models of its layout (SmolLM2, TinyLlama): RMSNorm, rotary positions with llama3 scaling, grouped keys
 * and values, gated MLP. transformers models/llama/modeling_llama.py.
 */
export const llama: Family = {
  modelType: "llama",
  read: readLlama,
  gguf: {
    architecture: "llama",
    modules: llamaModules,
    interleaved: true,
    normsPlusOne: false,
  },
};

function readLlama(reader: ConfigReader): Architecture {
  const sizes = readLlamaSizes(reader, { family: "llama" });
  const config: LmConfig = { ...sizes, layers: sameLayers(reader, sizes, () => false) };
  const bias = reader.boolean("attention_bias", false);
  const mlpBias = reader.boolean("mlp_bias", false);
  return {
    config,
    names: llamaNames(),
    absentHooks: {},
    block: (b, resid, layer) => llamaBlock(b, resid, layer, { qkv: bias, out: bias, mlp: mlpBias }),
  };
}

/** Which linear layers of a block have biases. */
export interface LlamaBiases {
  readonly qkv: boolean;
  readonly out: boolean;
  readonly mlp: boolean;
}

/** One block; Mistral and Qwen2 differ in biases and windows only. */
export function llamaBlock(
  b: BlockBuilder,
  resid: Value,
  layer: number,
  biases: LlamaBiases,
): BlockValues {
  const { d_model, n_heads, d_head, layers } = b.config;
  const at = `model.layers.${layer}`;
  const attention = (x: Value) => {
    const flat = projectFlat(b, x, { name: `${at}.self_attn`, bias: biases.qkv });
    const values = attend(b, splitHeads(b, flat), layers[layer]!);
    const out = { name: `${at}.self_attn.o_proj`, d_in: n_heads * d_head, d_out: d_model };
    const attn_out_raw = b.linear(flattenHeads(b, values.z), { ...out, bias: biases.out });
    return { ...values, attn_out_raw };
  };
  const mlp = (x: Value) => gatedMlp(b, x, `${at}.mlp`, biases.mlp);
  return sequentialBlock(
    b,
    resid,
    { attention, mlp },
    {
      beforeAttention: { name: `${at}.input_layernorm`, kind: "rms" },
      beforeMlp: { name: `${at}.post_attention_layernorm`, kind: "rms" },
    },
  );
}
