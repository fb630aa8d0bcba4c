import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { LmConfig } from "../config.ts";
import { llamaModules } from "../gguf.ts";
import { gatedMlp } from "../mlp.ts";
import type { Family } from "./architecture.ts";
import { qwenWindows } from "./qwen2.ts";
import { llamaNames, readLlamaSizes, sameLayers } from "./sizes.ts";

/** Qwen3 (dense): queries and keys of each head are normalised before rotation. transformers models/qwen3/modeling_qwen3.py. */
export const qwen3: Family = {
  modelType: "qwen3",
  read(reader) {
    const sizes = {
      ...readLlamaSizes(reader, { family: "qwen3" }),
      // Its config class has 128 where Llama's divides.
      d_head: reader.count("head_dim", 128),
    };
    const config: LmConfig = { ...sizes, layers: sameLayers(reader, sizes, qwenWindows(reader)) };
    const bias = reader.boolean("attention_bias", false);
    return {
      config,
      names: llamaNames(),
      absentHooks: {},
      block: (b, resid, layer) => qwen3Block(b, resid, layer, bias),
    };
  },
  gguf: {
    architecture: "qwen3",
    modules: {
      ...llamaModules,
      "self_attn.q_norm": "attn_q_norm",
      "self_attn.k_norm": "attn_k_norm",
    },
    interleaved: false,
    normsPlusOne: false,
  },
};

function qwen3Block(b: BlockBuilder, resid: Value, layer: number, bias: boolean): BlockValues {
  const { d_model, n_heads, d_head, layers } = b.config;
  const at = `model.layers.${layer}`;
  const attention = (x: Value) => {
    const { q, k, v } = splitHeads(b, projectFlat(b, x, { name: `${at}.self_attn`, bias }));
    const heads = {
      q: b.norm(q, { name: `${at}.self_attn.q_norm`, kind: "rms" }),
      k: b.norm(k, { name: `${at}.self_attn.k_norm`, kind: "rms" }),
      v,
    };
    const values = attend(b, heads, layers[layer]!);
    const out = { name: `${at}.self_attn.o_proj`, d_in: n_heads * d_head, d_out: d_model, bias };
    return { ...values, attn_out_raw: b.linear(flattenHeads(b, values.z), out) };
  };
  const mlp = (x: Value) => gatedMlp(b, x, `${at}.mlp`);
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
