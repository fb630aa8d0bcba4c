import type { Value } from "../../graph/graph.ts";
import { reshape, split, squeeze } from "../../graph/ops/index.ts";
import { attend, flattenHeads, type Heads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { parallelBlock, sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LmConfig } from "../config.ts";
import { readActivation } from "../config.ts";
import { plainMlp } from "../mlp.ts";
import { readRotary } from "../rotary.ts";
import type { Family } from "./architecture.ts";

/**
 * GPT-NeoX (Pythia): rotary positions on a part of each head, attention and MLP side by side, and one matrix for queries, keys
 * and values, stored head by head. transformers models/gpt_neox/modeling_gpt_neox.py.
 */
export const gptNeox: Family = {
  modelType: "gpt_neox",
  read(reader) {
    const parallel = reader.boolean("use_parallel_residual", true);
    const bias = reader.boolean("attention_bias", true);
    return {
      config: readConfig(reader),
      names: {
        prefixes: ["gpt_neox.", ""],
        embedding: "gpt_neox.embed_in.weight",
        unembedding: "embed_out.weight",
        finalNorm: { name: "gpt_neox.final_layer_norm", kind: "layer" },
      },
      absentHooks: parallel
        ? { resid_mid: "attention and MLP read the same residual, hook_resid_pre" }
        : {},
      block: (b, resid, layer) => gptNeoxBlock(b, resid, layer, { parallel, bias }),
    };
  },
};

function readConfig(reader: ConfigReader): LmConfig {
  const d_model = reader.count("hidden_size");
  const n_heads = reader.count("num_attention_heads");
  const n_layers = reader.count("num_hidden_layers");
  const d_head = d_model / n_heads;
  const scaling = reader.maybeObject("rope_parameters") ?? reader.maybeObject("rope_scaling");
  const share = scaling?.maybeNumber("partial_rotary_factor") ?? reader.number("rotary_pct", 0.25);
  const theta = scaling?.maybeNumber("rope_theta") ?? reader.number("rotary_emb_base", 10_000);
  const rotary = readRotary({
    dims: Math.floor(d_head * share),
    theta,
    ...(scaling === undefined ? {} : { scaling }),
  });
  const attentionScale = 1 / Math.sqrt(d_head);
  return {
    family: "gpt_neox",
    n_layers,
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    d_head,
    d_mlp: reader.count("intermediate_size"),
    d_vocab: reader.count("vocab_size"),
    n_ctx: reader.count("max_position_embeddings"),
    normEps: reader.number("layer_norm_eps", 1e-5),
    activation: readActivation(reader, "hidden_act", "gelu"),
    embedScale: 1,
    tiedEmbedding: reader.boolean("tie_word_embeddings", false),
    layers: Array.from({ length: n_layers }, () => ({ rotary, attentionScale })),
  };
}

function gptNeoxBlock(
  b: BlockBuilder,
  resid: Value,
  layer: number,
  { parallel, bias }: { parallel: boolean; bias: boolean },
): BlockValues {
  const { d_model, layers } = b.config;
  const at = `gpt_neox.layers.${layer}`;
  const attention = (x: Value) => {
    const joint = { name: `${at}.attention.query_key_value`, d_in: d_model, d_out: 3 * d_model };
    const values = attend(b, interleavedHeads(b, b.linear(x, { ...joint, bias })), layers[layer]!);
    const out = { name: `${at}.attention.dense`, d_in: d_model, d_out: d_model, bias };
    return { ...values, attn_out_raw: b.linear(flattenHeads(b, values.z), out) };
  };
  const mlp = (x: Value) =>
    plainMlp(b, x, { input: `${at}.mlp.dense_h_to_4h`, output: `${at}.mlp.dense_4h_to_h` });
  const block = parallel ? parallelBlock : sequentialBlock;
  return block(
    b,
    resid,
    { attention, mlp },
    {
      beforeAttention: { name: `${at}.input_layernorm`, kind: "layer" },
      beforeMlp: { name: `${at}.post_attention_layernorm`, kind: "layer" },
    },
  );
}

/** `[tokens, n_heads * 3 * d_head]`, query, key and value side by side within each head, as heads. */
function interleavedHeads(b: BlockBuilder, joint: Value): Heads {
  const { n_heads, d_head } = b.config;
  const parts = split(reshape(joint, ["tokens", n_heads, 3, d_head]), [1, 1, 1], 2);
  const [q, k, v] = parts.map((part) => squeeze(part, [2])) as [Value, Value, Value];
  return { q, k, v };
}
