/**
 * A `.gguf` file as a Hugging Face model: its metadata as the entries of a `config.json`, its tensors under Hugging
 * Face's names with llama.cpp's row order and offsets undone.
 *
 * llama.cpp's convert_hf_to_gguf.py and gguf-py/gguf/constants.py.
 */
import type { Weights } from "../files/weights.ts";
import { badConfig } from "./errors.ts";
import type { WeightNaming, WeightPlace } from "./lm-weights.ts";

/** How llama.cpp stores one family. */
export interface GgufFacts {
  /** `general.architecture` */
  readonly architecture: string;
  /** llama.cpp's name of each module of a block, by Hugging Face's. */
  readonly modules: Readonly<Record<string, string>>;
  /** Modules whose output rows llama.cpp interleaves for its own rotation (architecture llama). */
  readonly interleaved: boolean;
  /** Entries of config.json that llama.cpp leaves out because it knows them by the model's size. */
  readonly implied?: (config: Readonly<Record<string, unknown>>) => Record<string, unknown>;
  /** True where llama.cpp has added the 1 that Hugging Face leaves out of norm weights (Gemma). */
  readonly normsPlusOne: boolean;
}

/** Modules that all Llama-like families share. */
export const llamaModules: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

const outerModules: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

/** Entries of config.json by llama.cpp's keys below `<architecture>.`. */
const configKeys: Readonly<Record<string, string>> = {
  hidden_size: "embedding_length",
  num_hidden_layers: "block_count",
  num_attention_heads: "attention.head_count",
  num_key_value_heads: "attention.head_count_kv",
  intermediate_size: "feed_forward_length",
  max_position_embeddings: "context_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  rope_theta: "rope.freq_base",
  head_dim: "attention.key_length",
  sliding_window: "attention.sliding_window",
  attn_logit_softcapping: "attn_logit_softcapping",
  final_logit_softcapping: "final_logit_softcapping",
};

/** The architecture that a GGUF file names. */
export function ggufArchitecture(file: string, metadata: ReadonlyMap<string, unknown>): string {
  const name = metadata.get("general.architecture");
  if (typeof name !== "string") throw badConfig(file, "general.architecture", name, "a text");
  return name;
}

/** The metadata as the entries of a config.json of this model type. */
export function ggufConfig(
  metadata: ReadonlyMap<string, unknown>,
  weights: Weights,
  { architecture, implied }: GgufFacts,
  modelType: string,
): Record<string, unknown> {
  const config: Record<string, unknown> = { model_type: modelType };
  for (const [key, gguf] of Object.entries(configKeys)) {
    const value = plain(metadata.get(`${architecture}.${gguf}`));
    if (value !== undefined) config[key] = value;
  }
  const embedding = weights.dims("token_embd.weight");
  if (embedding !== undefined) config["vocab_size"] = embedding[0];
  config["tie_word_embeddings"] = weights.dims("output.weight") === undefined;
  config["bos_token_id"] = plain(metadata.get("tokenizer.ggml.bos_token_id"));
  config["eos_token_id"] = plain(metadata.get("tokenizer.ggml.eos_token_id"));
  config["attention_bias"] = weights.dims("blk.0.attn_q.bias") !== undefined;
  const scaling = ropeScaling(metadata, weights, architecture);
  if (scaling !== undefined) config["rope_scaling"] = scaling;
  return { ...implied?.(config), ...config };
}

/** From Hugging Face's names to this file's. */
export function ggufNaming(metadata: ReadonlyMap<string, unknown>, facts: GgufFacts): WeightNaming {
  const heads = (key: string): number =>
    Number(metadata.get(`${facts.architecture}.attention.${key}`) ?? 0);
  const n_heads = heads("head_count");
  const n_kv_heads = heads("head_count_kv") || n_heads;
  return (name) => {
    const place = ggufName(name, facts);
    const rows = /\.attn_(q|k)\./.exec(place);
    if (facts.interleaved && rows !== null) {
      const n = rows[1] === "q" ? n_heads : n_kv_heads;
      return { name: place, convert: (elements, [rows]) => deinterleave(elements, n, rows ?? 0) };
    }
    return facts.normsPlusOne && place.endsWith("norm.weight") ? minusOne(place) : { name: place };
  };
}

/**
 * Undoes llama.cpp's `permute`: within each head, rows (0, 1, 2, 3, …) of the file are rows (0, half, 1, half + 1, …) of
 * Hugging Face's. `[rows, …]` with rows = n * d_head
 */
export function deinterleave(elements: Float32Array, n: number, rows: number): Float32Array {
  const result = new Float32Array(elements.length);
  const width = elements.length / rows;
  const d_head = rows / n;
  for (let head = 0; head < n; head++) {
    for (let i = 0; i < d_head; i++) {
      const from = (head * d_head + i) * width;
      const to = head * d_head + (i >> 1) + (i & 1) * (d_head / 2);
      result.set(elements.subarray(from, from + width), to * width);
    }
  }
  return result;
}

function ggufName(name: string, { modules }: GgufFacts): string {
  const block = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (block !== null) {
    const module = modules[block[2] ?? ""] ?? block[2] ?? "";
    return `blk.${block[1]}.${module}.${block[3]}`;
  }
  const outer = /^(.+)\.(weight|bias)$/.exec(name);
  return `${outerModules[outer?.[1] ?? ""] ?? name}.${outer?.[2] ?? "weight"}`;
}

function minusOne(name: string): WeightPlace {
  return { name, convert: (elements) => elements.map((element) => element - 1) };
}

/** Linear scaling from the metadata, or llama3's as llama.cpp bakes it: a divisor per frequency. */
function ropeScaling(
  metadata: ReadonlyMap<string, unknown>,
  weights: Weights,
  architecture: string,
): Record<string, unknown> | undefined {
  if (weights.dims("rope_freqs.weight") !== undefined) {
    return { rope_type: "divisors", divisors: [...weights.readFloat32("rope_freqs.weight")] };
  }
  const type = metadata.get(`${architecture}.rope.scaling.type`);
  if (typeof type !== "string" || type === "none") return undefined;
  return { rope_type: type, factor: plain(metadata.get(`${architecture}.rope.scaling.factor`)) };
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
