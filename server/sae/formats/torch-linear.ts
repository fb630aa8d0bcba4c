/**
 * Single PyTorch files without a config: Qwen Scope, qresearch's DeepSeek-R1 SAE, Goodfire and OpenAI. What they do not
 * say stands in the file's or repository's name, or is asked for.
 *
 * sae-lens@6.54 pretrained_sae_loaders.py (`qwen_scope`, `deepseek_r1`, `goodfire`); openai/sparse_autoencoder model.py.
 */
import type { SaeConfig } from "../config.ts";
import { unknownArchitecture } from "../errors.ts";
import { type Facts, requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { SaePlace } from "../place.ts";
import type { TensorFile } from "../tensor-file.ts";
import { type Format, type FoundSae, uncheckedLayout } from "./format.ts";
import { sizesOf } from "./sizes.ts";

const torchFile = /\.pth?$/;

/** Qwen Scope: `SAE-Res-<model>-W32K-L0_50/layer9.sae.pt`, both matrices transposed, TopK of the pre-activations. */
export const qwenScope: Format = {
  name: "Qwen Scope",
  matches: (place) => place.weightFile(/^layer\d+\.sae\.pt$/) !== undefined,
  read(place, facts) {
    const name = place.weightFile(/^layer\d+\.sae\.pt$/)!;
    const weights = place.tensors(name);
    const repo = /SAE-Res-(.+?)-W\d+K-L0_(\d+)/.exec(place.folder);
    const { k } = requireFacts(place.path, qwenScope.name, {
      k: facts.number("k") ?? (repo ? Number(repo[2]) : undefined),
    });
    const model = repo ? `Qwen/${repo[1]}` : undefined;
    return single(place, facts, {
      format: qwenScope.name,
      weights,
      located: {
        W_enc: { in: weights, key: "W_enc", transposed: true },
        b_enc: { in: weights, key: "b_enc" },
        W_dec: { in: weights, key: "W_dec", transposed: true },
        b_dec: { in: weights, key: "b_dec" },
      },
      config: { architecture: "topk", k, declared: { k }, ...(model ? { model } : {}) },
      hook: `blocks.${/\d+/.exec(name)![0]}.hook_resid_post`,
      badges: [],
    });
  },
};

/** qresearch's DeepSeek-R1-Distill SAE: `…-SAE-l19.pt` with encoder and decoder as nn.Linear; b_dec is not subtracted. */
export const deepSeekR1: Format = {
  name: "DeepSeek-R1 (qresearch)",
  matches: (place) =>
    fileWith(place, ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]) !==
    undefined,
  read(place, facts) {
    const name = place.weightFile(torchFile)!;
    const weights = place.tensors(name);
    const r1 = /^(DeepSeek-R1-Distill-.+)-SAE-l(\d+)\.pt$/.exec(name);
    return single(place, facts, {
      format: deepSeekR1.name,
      weights,
      located: linear(weights, "encoder", "decoder"),
      config: {
        architecture: "standard",
        ...(r1 ? { model: `deepseek-ai/${r1[1]}` } : {}),
      },
      hook: r1 ? `blocks.${r1[2]}.hook_resid_post` : undefined,
      badges: [],
    });
  },
};

/** Goodfire: `Llama-3.1-8B-Instruct-SAE-l19.pth` with `encoder_linear` and `decoder_linear`. */
export const goodfire: Format = {
  name: "Goodfire",
  matches: (place) =>
    fileWith(place, ["encoder_linear.weight", "decoder_linear.weight"]) !== undefined,
  read(place, facts) {
    const name = place.weightFile(torchFile)!;
    const weights = place.tensors(name);
    const known = /^(.+)-SAE-l(\d+)\.pth?$/.exec(name);
    return single(place, facts, {
      format: goodfire.name,
      weights,
      located: linear(weights, "encoder_linear", "decoder_linear"),
      config: {
        architecture: "standard",
        ...(known ? { model: `meta-llama/${known[1]}` } : {}),
      },
      hook: known ? `blocks.${known[2]}.hook_resid_post` : undefined,
      badges: [uncheckedLayout],
    });
  },
};

/**
 * OpenAI (Gao et al. 2024, arXiv:2406.04093): `pre_bias`, `latent_bias`, `activation`. With TopK the input is layer
 * normalised (eps 1e-5, unbiased standard deviation) and the output scaled back.
 */
export const openAi: Format = {
  name: "OpenAI",
  matches: (place) => fileWith(place, ["pre_bias", "latent_bias", "encoder.weight"]) !== undefined,
  read(place, facts) {
    const weights = place.tensors(place.weightFile(/./)!);
    const activation = weights.rest["activation"] ?? "ReLU";
    if (activation !== "TopK" && activation !== "ReLU")
      throw unknownArchitecture({ file: weights.description, key: "activation" }, activation, [
        "TopK",
        "ReLU",
      ]);
    const topk = activation === "TopK";
    const stated = weights.rest["activation_state_dict.k"];
    const k = facts.number("k") ?? (typeof stated === "number" ? stated : undefined);
    return single(place, facts, {
      format: openAi.name,
      weights,
      located: {
        W_enc: { in: weights, key: "encoder.weight", transposed: true },
        b_enc: { in: weights, key: "latent_bias" },
        W_dec: { in: weights, key: "decoder.weight", transposed: true },
        b_dec: { in: weights, key: "pre_bias" },
      },
      config: {
        architecture: topk ? "topk" : "standard",
        ...(topk ? requireFacts(place.path, openAi.name, { k }) : {}),
        normalization: topk ? { kind: "layer_norm" } : { kind: "none" },
        applyBDecToInput: true,
      },
      hook: undefined,
      badges: [uncheckedLayout],
    });
  },
};

function fileWith(place: SaePlace, keys: readonly string[]): string | undefined {
  const name = place.weightFile(torchFile);
  return name !== undefined && place.hasTensors(name, keys) ? name : undefined;
}

function linear(weights: TensorFile, encoder: string, decoder: string): Record<string, Located> {
  return {
    W_enc: { in: weights, key: `${encoder}.weight`, transposed: true },
    b_enc: { in: weights, key: `${encoder}.bias` },
    W_dec: { in: weights, key: `${decoder}.weight`, transposed: true },
    b_dec: { in: weights, key: `${decoder}.bias` },
  };
}

function single(
  place: SaePlace,
  facts: Facts,
  parts: {
    format: string;
    weights: TensorFile;
    located: Record<string, Located>;
    config: Partial<SaeConfig> & Pick<SaeConfig, "architecture">;
    hook: string | undefined;
    badges: string[];
  },
): FoundSae {
  const { format, weights, located, config, badges } = parts;
  const { hook } = requireFacts(place.path, format, { hook: facts.string("hook") ?? parts.hook });
  const n_ctx = facts.number("n_ctx");
  const model = facts.string("model");
  return {
    config: {
      ...sizesOf(located),
      hook,
      prependBos: facts.boolean("prependBos") ?? true,
      normalization: { kind: "none" },
      applyBDecToInput: false,
      options: {},
      declared: {},
      dtypeNote: weights.source(weights.names()[0]!).dtype,
      ...config,
      ...(n_ctx === undefined ? {} : { n_ctx }),
      ...(model === undefined ? {} : { model }),
    },
    located,
    badges,
  };
}
