import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LayerConfig, LmConfig } from "../config.ts";
import { readActivation } from "../config.ts";
import { plainMlp } from "../mlp.ts";
import type { Family } from "./architecture.ts";

/**
 * GPT-Neo (TinyStories too): like GPT-2, but scores are not scaled and local layers see a window.
 * transformers models/gpt_neo/modeling_gpt_neo.py.
 */
export const gptNeo: Family = {
  modelType: "gpt_neo",
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
      block: gptNeoBlock,
    };
  },
};

function readConfig(reader: ConfigReader): LmConfig {
  const d_model = reader.count("hidden_size");
  const n_heads = reader.count("num_heads");
  const n_layers = reader.count("num_layers");
  return {
    family: "gpt_neo",
    n_layers,
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    d_head: d_model / n_heads,
    d_mlp: reader.count("intermediate_size", 4 * d_model),
    d_vocab: reader.count("vocab_size"),
    n_ctx: reader.count("max_position_embeddings"),
    normEps: reader.number("layer_norm_epsilon", 1e-5),
    activation: readActivation(reader, "activation_function", "gelu_new"),
    embedScale: 1,
    tiedEmbedding: reader.boolean("tie_word_embeddings", true),
    layers: readLayers(reader, n_layers),
  };
}

/** `attention_layers` names the kind of every layer; older configs have only `attention_types`, [[kinds, repeats], …]. */
function readLayers(reader: ConfigReader, n_layers: number): LayerConfig[] {
  const window = reader.number("window_size", 256);
  const kinds = reader.maybeStrings("attention_layers") ?? expandTypes(reader);
  return Array.from({ length: n_layers }, (_, layer) => {
    const kind = kinds[layer];
    if (kind !== "global" && kind !== "local") {
      throw reader.bad("attention_layers", `global or local for each of ${n_layers} layers`);
    }
    return { attentionScale: 1, ...(kind === "local" ? { window } : {}) };
  });
}

function expandTypes(reader: ConfigReader): string[] {
  const types = (reader.raw("attention_types") ?? []) as [string[], number][];
  return types.flatMap(([kinds, repeats]) => Array.from({ length: repeats }, () => kinds).flat());
}

function gptNeoBlock(b: BlockBuilder, resid: Value, layer: number): BlockValues {
  const { d_model, layers } = b.config;
  const at = `transformer.h.${layer}`;
  const attention = (x: Value) => {
    const flat = projectFlat(b, x, { name: `${at}.attn.attention`, bias: false });
    const values = attend(b, splitHeads(b, flat), layers[layer]!);
    const out = { name: `${at}.attn.attention.out_proj`, d_in: d_model, d_out: d_model };
    return { ...values, attn_out_raw: b.linear(flattenHeads(b, values.z), { ...out, bias: true }) };
  };
  const mlp = (x: Value) => plainMlp(b, x, { input: `${at}.mlp.c_fc`, output: `${at}.mlp.c_proj` });
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
