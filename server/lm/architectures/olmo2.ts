import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { LmConfig } from "../config.ts";
import { gatedMlp } from "../mlp.ts";
import type { Family } from "./architecture.ts";
import { llamaNames, readLlamaSizes, sameLayers } from "./sizes.ts";

/**
 * OLMo-2: norms stand after the modules only, and queries and keys are normalised over all heads together.
 * transformers models/olmo2/modeling_olmo2.py.
 */
export const olmo2: Family = {
  modelType: "olmo2",
  read(reader) {
    const sizes = readLlamaSizes(reader, { family: "olmo2" });
    const config: LmConfig = { ...sizes, layers: sameLayers(reader, sizes, () => false) };
    const bias = reader.boolean("attention_bias", false);
    return {
      config,
      names: llamaNames(),
      absentHooks: { ln2_normalized: "it has no norm before the MLP, which reads hook_resid_mid" },
      block: (b, resid, layer) => olmo2Block(b, resid, layer, bias),
    };
  },
};

function olmo2Block(b: BlockBuilder, resid: Value, layer: number, bias: boolean): BlockValues {
  const { d_model, n_heads, d_head, layers } = b.config;
  const at = `model.layers.${layer}`;
  const attention = (x: Value) => {
    const { q, k, v } = projectFlat(b, x, { name: `${at}.self_attn`, bias });
    const flat = {
      q: b.norm(q, { name: `${at}.self_attn.q_norm`, kind: "rms" }),
      k: b.norm(k, { name: `${at}.self_attn.k_norm`, kind: "rms" }),
      v,
    };
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
      afterAttention: { name: `${at}.post_attention_layernorm`, kind: "rms" },
      afterMlp: { name: `${at}.post_feedforward_layernorm`, kind: "rms" },
    },
  );
}
