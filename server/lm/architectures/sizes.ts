/** Entries of config.json that Llama and the families after it spell alike. */
import type { ConfigReader, LayerConfig, LmConfig } from "../config.ts";
import { readActivation, readWindows } from "../config.ts";
import { type RotaryConfig, readRotary } from "../rotary.ts";
import type { OuterNames } from "./architecture.ts";

/** Sizes as Llama's config spells them; `defaults` are what the family's config leaves out. */
export function readLlamaSizes(
  reader: ConfigReader,
  defaults: { family: string; activationKey?: string; activation?: string; tied?: boolean },
): Omit<LmConfig, "layers"> {
  const { family, activationKey = "hidden_act", activation = "silu", tied = false } = defaults;
  const d_model = reader.count("hidden_size");
  const n_heads = reader.count("num_attention_heads");
  return {
    family,
    n_layers: reader.count("num_hidden_layers"),
    d_model,
    n_heads,
    n_kv_heads: reader.count("num_key_value_heads", n_heads),
    d_head: reader.count("head_dim", Math.floor(d_model / n_heads)),
    d_mlp: reader.count("intermediate_size"),
    d_vocab: reader.count("vocab_size"),
    n_ctx: reader.count("max_position_embeddings"),
    normEps: reader.number("rms_norm_eps"),
    activation: readActivation(reader, activationKey, activation),
    embedScale: 1,
    tiedEmbedding: reader.boolean("tie_word_embeddings", tied),
  };
}

/** The rotary positions of all layers: `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling`. */
export function readLlamaRotary(reader: ConfigReader, dims: number, theta?: number): RotaryConfig {
  const scaling = reader.maybeObject("rope_parameters") ?? reader.maybeObject("rope_scaling");
  const found = scaling?.maybeNumber("rope_theta") ?? reader.number("rope_theta", theta ?? 10_000);
  return readRotary({ dims, theta: found, ...(scaling === undefined ? {} : { scaling }) });
}

/** Layers that differ by their window only. */
export function sameLayers(
  reader: ConfigReader,
  sizes: Omit<LmConfig, "layers">,
  older: (layer: number) => boolean,
): readonly LayerConfig[] {
  const rotary = readLlamaRotary(reader, sizes.d_head);
  return readWindows(reader, sizes.n_layers, older).map((window) => ({
    rotary,
    attentionScale: 1 / Math.sqrt(sizes.d_head),
    ...(window === undefined ? {} : { window }),
  }));
}

/** Names outside the blocks as Llama has them. `plusOne`: the final norm's weight is stored less 1. */
export function llamaNames(plusOne = false): OuterNames {
  return {
    prefixes: ["model.", "", "language_model.model.", "model.language_model."],
    embedding: "model.embed_tokens.weight",
    unembedding: "lm_head.weight",
    finalNorm: { name: "model.norm", kind: "rms", plusOne },
  };
}
