import type { Value } from "../../graph/graph.ts";
import { split } from "../../graph/ops/index.ts";
import { attend, flattenHeads, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LmConfig } from "../config.ts";
import { readActivation } from "../config.ts";
import { plainMlp } from "../mlp.ts";
import type { Family } from "./architecture.ts";

/**
 * GPT-2: learned positions, LayerNorm, one matrix for queries, keys and values, and matrices stored `[in, out]`.
 * transformers models/gpt2/modeling_gpt2.py.
 */
export const gpt2: Family = {
  modelType: "gpt2",
  read(reader) {
    return {
      config: readConfig(reader),
      names: {
        prefixes: ["transformer.", ""],
        embedding: "transformer.wte.weight",
        positions: "transformer.wpe.weight",
        unembedding: "lm_head.weight",
        finalNorm: { name: "transformer.ln_f", kind: "layer" },
      },
      absentHooks: {},
      block: gpt2Block,
    };
  },
};

function readConfig(reader: ConfigReader): LmConfig {
  const d_model = reader.count("n_embd");
  const n_heads = reader.count("n_head");
  const d_head = d_model / n_heads;
  const byLayer = reader.boolean("scale_attn_by_inverse_layer_idx", false);
  const scale = reader.boolean("scale_attn_weights", true) ? 1 / Math.sqrt(d_head) : 1;
  return {
    family: "gpt2",
    n_layers: reader.count("n_layer"),
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    d_head,
    d_mlp: reader.count("n_inner", 4 * d_model),
    d_vocab: reader.count("vocab_size"),
    n_ctx: reader.count("n_positions", 1024),
    normEps: reader.number("layer_norm_epsilon", 1e-5),
    activation: readActivation(reader, "activation_function", "gelu_new"),
    embedScale: 1,
    tiedEmbedding: reader.boolean("tie_word_embeddings", true),
    layers: Array.from({ length: reader.count("n_layer") }, (_, layer) => ({
      attentionScale: byLayer ? scale / (layer + 1) : scale,
    })),
  };
}

function gpt2Block(b: BlockBuilder, resid: Value, layer: number): BlockValues {
  const { d_model, layers } = b.config;
  const at = `transformer.h.${layer}`;
  const attention = (x: Value) => {
    const joint = { name: `${at}.attn.c_attn`, d_in: d_model, d_out: 3 * d_model };
    const flat = b.linear(x, { ...joint, bias: true, layout: "in-out" });
    const [q, k, v] = split(flat, [d_model, d_model, d_model], 1) as [Value, Value, Value];
    const values = attend(b, splitHeads(b, { q, k, v }), layers[layer]!);
    const out = { name: `${at}.attn.c_proj`, d_in: d_model, d_out: d_model };
    const z = flattenHeads(b, values.z);
    return { ...values, attn_out_raw: b.linear(z, { ...out, bias: true, layout: "in-out" }) };
  };
  const names = { input: `${at}.mlp.c_fc`, output: `${at}.mlp.c_proj`, layout: "in-out" } as const;
  const mlp = (x: Value) => plainMlp(b, x, names);
  return sequentialBlock(
    b,
    resid,
    { attention, mlp },
    {
      beforeAttention: { name: `${at}.ln_1`, kind: "layer" },
      beforeMlp: { name: `${at}.ln_2`, kind: "layer" },
    },
  );
}
