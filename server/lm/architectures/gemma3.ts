import type { Value } from "../../graph/graph.ts";
import { attend, flattenHeads, projectFlat, splitHeads } from "../attention.ts";
import type { BlockBuilder, BlockValues } from "../block-builder.ts";
import { sequentialBlock } from "../block-shape.ts";
import type { ConfigReader, LayerConfig, LmConfig } from "../config.ts";
import { readWindows } from "../config.ts";
import { gatedMlp } from "../mlp.ts";
import { type RotaryConfig, readRotary } from "../rotary.ts";
import type { Family } from "./architecture.ts";
import { gemmaNames, gemmaNorm, readGemmaSizes } from "./gemma2.ts";

/**
 * Gemma-3's text model: Gemma-2's norms without soft caps, queries and keys of each head normalised, five sliding layers with
 * their own rotary base to each full one. transformers models/gemma3/modeling_gemma3.py.
 */
export const gemma3: Family = {
  modelType: "gemma3_text",
  alsoTypes: ["gemma3"],
  read(whole) {
    // Models that also see keep the text model's entries one level down.
    const reader = whole.maybeObject("text_config") ?? whole;
    const sizes = readGemmaSizes(reader, "gemma3_text");
    const config: LmConfig = { ...sizes, layers: readLayers(reader, sizes.n_layers, sizes.d_head) };
    const bias = reader.boolean("attention_bias", false);
    return {
      config,
      names: gemmaNames(),
      absentHooks: {},
      block: (b, resid, layer) => gemma3Block(b, resid, layer, bias),
    };
  },
};

function readLayers(reader: ConfigReader, n_layers: number, d_head: number): LayerConfig[] {
  const pattern = reader.number(
    "sliding_window_pattern",
    reader.number("_sliding_window_pattern", 6),
  );
  const windows = readWindows(reader, n_layers, (layer) => (layer + 1) % pattern !== 0);
  const { sliding, full } = readRotaries(reader, d_head);
  const attentionScale = reader.number("query_pre_attn_scalar", 256) ** -0.5;
  return windows.map((window) =>
    window === undefined
      ? { rotary: full, attentionScale }
      : { rotary: sliding, attentionScale, window },
  );
}

/** `rope_parameters` by layer type (transformers 5), or rope_theta and rope_local_base_freq; only full layers are scaled. */
function readRotaries(
  reader: ConfigReader,
  dims: number,
): { sliding: RotaryConfig; full: RotaryConfig } {
  const parameters = reader.maybeObject("rope_parameters");
  const read = (type: string, theta: number, older?: ConfigReader): RotaryConfig => {
    const own = parameters?.maybeObject(type);
    const scaling = own ?? older;
    return readRotary({
      dims,
      theta: own?.number("rope_theta", theta) ?? theta,
      ...(scaling === undefined ? {} : { scaling }),
    });
  };
  return {
    sliding: read("sliding_attention", reader.number("rope_local_base_freq", 10_000)),
    full: read(
      "full_attention",
      reader.number("rope_theta", 1_000_000),
      reader.maybeObject("rope_scaling"),
    ),
  };
}

function gemma3Block(b: BlockBuilder, resid: Value, layer: number, bias: boolean): BlockValues {
  const { d_model, n_heads, d_head, layers } = b.config;
  const at = `model.layers.${layer}`;
  const attention = (x: Value) => {
    const { q, k, v } = splitHeads(b, projectFlat(b, x, { name: `${at}.self_attn`, bias }));
    const heads = {
      q: b.norm(q, gemmaNorm(`${at}.self_attn.q_norm`)),
      k: b.norm(k, gemmaNorm(`${at}.self_attn.k_norm`)),
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
      beforeAttention: gemmaNorm(`${at}.input_layernorm`),
      afterAttention: gemmaNorm(`${at}.post_attention_layernorm`),
      beforeMlp: gemmaNorm(`${at}.pre_feedforward_layernorm`),
      afterMlp: gemmaNorm(`${at}.post_feedforward_layernorm`),
    },
  );
}
