/** What files call things: configs of older exports, llama.cpp's names and row order, rotary scalings. */
import { describe, expect, test } from "vitest";
import { families } from "../../server/lm/architectures/families.ts";
import { ConfigReader } from "../../server/lm/config.ts";
import { deinterleave, ggufConfig, ggufNaming } from "../../server/lm/gguf.ts";
import { prefixNaming } from "../../server/lm/lm-weights.ts";
import { readRotary, rotaryTables } from "../../server/lm/rotary.ts";
import type { Weights } from "../../server/files/weights.ts";

function read(json: Record<string, unknown>) {
  const family = families.find(
    ({ modelType, alsoTypes }) =>
      modelType === json["model_type"] || alsoTypes?.includes(json["model_type"] as string),
  );
  return family!.read(new ConfigReader("config.json", json)).config;
}

/** Weights that know names and shapes only. */
function named(dims: Record<string, readonly number[]>): Weights {
  return {
    names: () => Object.keys(dims),
    dims: (name: string) => dims[name],
    readFloat32: () => Float32Array.of(1, 1, 2, 4),
  } as unknown as Weights;
}

const gemma = {
  hidden_size: 64,
  num_hidden_layers: 7,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  intermediate_size: 128,
  vocab_size: 100,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  sliding_window: 32,
  query_pre_attn_scalar: 16,
};

describe("older configs", () => {
  test("Gemma-2: every other layer slides, beginning with the first", () => {
    const { layers } = read({ ...gemma, model_type: "gemma2", rope_theta: 10_000 });
    expect(layers.map(({ window }) => window)).toEqual([
      32,
      undefined,
      32,
      undefined,
      32,
      undefined,
      32,
    ]);
  });

  test("Gemma-3: every sixth layer is full, with its own base and linear scaling", () => {
    const { layers } = read({
      model_type: "gemma3",
      text_config: {
        ...gemma,
        sliding_window_pattern: 6,
        rope_theta: 1_000_000,
        rope_local_base_freq: 10_000,
        rope_scaling: { rope_type: "linear", factor: 8 },
      },
    });
    expect(layers.map(({ window }) => window)).toEqual([32, 32, 32, 32, 32, undefined, 32]);
    const frequency = (layer: number) => layers[layer]!.rotary!.inverseFrequencies;
    expect(frequency(0)[0]).toBe(1);
    expect(frequency(0)[1]).toBeCloseTo(10_000 ** (-2 / 16), 12);
    expect(frequency(5)[0]).toBe(1 / 8);
    expect(frequency(5)[1]).toBeCloseTo(1_000_000 ** (-2 / 16) / 8, 12);
  });

  test("GPT-NeoX: rotary_pct and rotary_emb_base; GPT-Neo: attention_types", () => {
    const neox = read({
      model_type: "gpt_neox",
      hidden_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 256,
      vocab_size: 100,
      max_position_embeddings: 64,
      rotary_pct: 0.25,
      rotary_emb_base: 10_000,
    });
    expect(neox.layers[0]!.rotary!.dims).toBe(4);
    const neo = read({
      model_type: "gpt_neo",
      hidden_size: 64,
      num_layers: 4,
      num_heads: 4,
      vocab_size: 100,
      max_position_embeddings: 64,
      attention_types: [[["global", "local"], 2]],
    });
    expect(neo.layers.map(({ window }) => window)).toEqual([undefined, 256, undefined, 256]);
    expect(neo.d_mlp).toBe(256);
  });

  test("names without the outer prefix, as OpenAI's GPT-2 has them", () => {
    const naming = prefixNaming(
      named({ "wte.weight": [1, 1] }),
      ["transformer.", ""],
      "transformer.wte.weight",
    );
    expect(naming("transformer.h.3.ln_1.bias").name).toBe("h.3.ln_1.bias");
    expect(naming("lm_head.weight").name).toBe("lm_head.weight");
  });
});

const scaling = (json: Record<string, unknown>) => new ConfigReader("config.json", json);

describe("rotary positions", () => {
  test("llama3 scaling: long wavelengths by the factor, short ones not, a blend between", () => {
    const json = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const facts = { dims: 128, theta: 500_000 };
    const plain = readRotary(facts).inverseFrequencies;
    const scaled = readRotary({ ...facts, scaling: scaling(json) }).inverseFrequencies;
    for (const [i, frequency] of plain.entries()) {
      const wavelength = (2 * Math.PI) / frequency;
      const ratio = frequency / scaled[i]!;
      if (wavelength < 8192 / 4) expect(ratio).toBe(1);
      else if (wavelength > 8192) expect(ratio).toBeCloseTo(8, 12);
      else expect(ratio).toBeGreaterThan(1);
    }
  });

  test("tables are the same however they are cut", () => {
    const config = readRotary({ dims: 4, theta: 100 });
    const whole = rotaryTables(config, [0, 10], "float64");
    const part = rotaryTables(config, [7, 9], "float64");
    expect(part.cos).toEqual(whole.cos.slice(14, 18));
    expect([...part.sin.subarray(0, 2)]).toEqual(
      [Math.sin(7), Math.sin(0.7)].map((x) => expect.closeTo(x, 12) as number),
    );
  });

  test("divisors of a GGUF file", () => {
    const config = readRotary({
      dims: 4,
      theta: 100,
      scaling: scaling({ rope_type: "divisors", divisors: [1, 4] }),
    });
    expect([...config.inverseFrequencies]).toEqual([1, 0.1 / 4]);
  });
});

describe("GGUF", () => {
  const llama = families.find(({ modelType }) => modelType === "llama")!.gguf!;
  const metadata = new Map<string, unknown>([
    ["llama.attention.head_count", 4],
    ["llama.attention.head_count_kv", 2],
    ["llama.embedding_length", 64],
    ["llama.block_count", 2n],
    ["llama.feed_forward_length", 96],
    ["llama.context_length", 128],
    ["llama.attention.layer_norm_rms_epsilon", 1e-5],
    ["llama.rope.freq_base", 10_000],
    ["tokenizer.ggml.eos_token_id", 2],
  ]);

  test("metadata as config.json", () => {
    const weights = named({ "token_embd.weight": [300, 64], "rope_freqs.weight": [4] });
    const config = ggufConfig(metadata, weights, llama, "llama");
    expect(config).toMatchObject({
      model_type: "llama",
      num_hidden_layers: 2,
      vocab_size: 300,
      tie_word_embeddings: true,
      attention_bias: false,
      eos_token_id: 2,
      rope_scaling: { rope_type: "divisors", divisors: [1, 1, 2, 4] },
    });
    expect(read(config).layers[0]!.rotary!.inverseFrequencies[2]).toBeCloseTo(
      10_000 ** (-4 / 16) / 2,
      12,
    );
  });

  test("names and row order", () => {
    const naming = ggufNaming(metadata, llama);
    expect(naming("model.layers.1.mlp.gate_proj.weight")).toEqual({
      name: "blk.1.ffn_gate.weight",
    });
    expect(naming("model.layers.1.post_attention_layernorm.weight").name).toBe(
      "blk.1.ffn_norm.weight",
    );
    expect(naming("model.embed_tokens.weight").name).toBe("token_embd.weight");
    expect(naming("model.norm.weight").name).toBe("output_norm.weight");
    expect(naming("lm_head.weight").name).toBe("output.weight");
    expect(naming("model.layers.0.self_attn.q_proj.weight").convert).toBeDefined();
    expect(naming("model.layers.0.self_attn.v_proj.weight").convert).toBeUndefined();
  });

  test("deinterleave puts even rows of a head first", () => {
    const rows = Float32Array.from({ length: 16 }, (_, i) => i);
    expect([...deinterleave(rows, 2, 8)]).toEqual([
      0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,
    ]);
  });

  test("Gemma's norms lose the 1 that llama.cpp adds", () => {
    const facts = families.find(({ modelType }) => modelType === "gemma2")!.gguf!;
    const place = ggufNaming(new Map(), facts)("model.layers.0.post_feedforward_layernorm.weight");
    expect(place.name).toBe("blk.0.post_ffw_norm.weight");
    expect([...place.convert!(Float32Array.of(1, 3), [2])]).toEqual([0, 2]);
  });
});
