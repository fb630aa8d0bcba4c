import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues, NormFacts } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LmConfig } from "../config.ts";
import { readWindows } from "../config.ts";
import { llamaModules } from "../gguf.ts";
import { gatedMlp } from "../mlp.ts";
import type { Family, OuterNames } from "./architecture.ts";
import { llamaNames, readLlamaRotary, readLlamaSizes } from "./sizes.ts";

/**
 * Gemma-2: norms on both sides of both modules with weights stored less 1, soft caps on scores and logits, a sliding window on
 * every other layer, embeddings scaled by √d_model. transformers models/gemma2/modeling_gemma2.py.
 */
export const gemma2: Family = {
  modelType: "gemma2",
  read(reader) {
    const sizes = readGemmaSizes(reader, "gemma2");
    const rotary = readLlamaRotary(reader, sizes.d_head);
    const windows = readWindows(reader, sizes.n_layers, (layer) => layer % 2 === 0);
    const attentionScale = reader.number("query_pre_attn_scalar", 256) ** -0.5;
    const config: LmConfig = {
      ...sizes,
      layers: windows.map((window) => ({
        rotary,
        attentionScale,
        ...(window === undefined ? {} : { window }),
      })),
    };
    const bias = reader.boolean("attention_bias", false);
    return {
      config,
      names: gemmaNames(),
      absentHooks: {},
      block: (b, resid, layer) => gemma2Block(b, resid, layer, bias),
    };
  },
  gguf: {
    architecture: "gemma2",
    modules: {
      ...llamaModules,
      post_attention_layernorm: "post_attention_norm",
      pre_feedforward_layernorm: "ffn_norm",
      post_feedforward_layernorm: "post_ffw_norm",
    },
    interleaved: false,
    normsPlusOne: true,
    // The 27B model (46 layers) divides by the width per head, the smaller ones by d_head (llama.cpp src/llama-model.cpp).
    implied: (config) => ({
      query_pre_attn_scalar:
        config["num_hidden_layers"] === 46
          ? Number(config["hidden_size"]) / Number(config["num_attention_heads"])
          : config["head_dim"],
    }),
  },
};

/** Sizes, caps and embedding scale of Gemma-2 and Gemma-3. */
export function readGemmaSizes(reader: ConfigReader, family: string): Omit<LmConfig, "layers"> {
  const sizes = readLlamaSizes(reader, {
    family,
    activationKey: "hidden_activation",
    activation: "gelu_pytorch_tanh",
    tied: true,
  });
  const attentionSoftcap = reader.maybeNumber("attn_logit_softcapping");
  const logitSoftcap = reader.maybeNumber("final_logit_softcapping");
  return {
    ...sizes,
    d_head: reader.count("head_dim", 256),
    embedScale: Math.fround(Math.sqrt(sizes.d_model)),
    ...(attentionSoftcap === undefined ? {} : { attentionSoftcap }),
    ...(logitSoftcap === undefined ? {} : { logitSoftcap }),
  };
}

/** Names outside the blocks. */
export function gemmaNames(): OuterNames {
  return llamaNames(true);
}

/** A norm of Gemma's. */
export function gemmaNorm(name: string): NormFacts {
  return { name, kind: "rms", plusOne: true };
}

function gemma2Block(b: BlockBuilder, resid: Value, layer: number, bias: boolean): BlockValues {
  const { d_model, n_heads, d_head, layers } = b.config;
  const at = `model.layers.${layer}`;
  const attention = (x: Value) => {
    const flat = projectFlat(b, x, { name: `${at}.self_attn`, bias });
    const values = attend(b, splitHeads(b, flat), layers[layer]!);
    const out = { name: `${at}.self_attn.o_proj`, d_in: n_heads * d_head, d_out: d_model, bias };
    return { ...values, attn_out_raw: b.linear(flattenHeads(b, values.z), out) };
  };
  const mlp = (x: Value) => gatedMlp(b, x, `${at}.mlp`);
  return sequentialBlock(
    b,
    resid,
    { attention, mlp },
    {
      beforeAttention: gemmaNorm(`${at}.input_layernorm`),
      afterAttention: gemmaNorm(`${at}.post_attention_layernorm`),
      beforeMlp: gemmaNorm(`${at}.pre_feedforward_layernorm`),
      afterMlp: gemmaNorm(`${at}.post_feedforward_layernorm`),
    },
  );
}
