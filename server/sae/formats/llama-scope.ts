/**
 * Llama Scope (OpenMOSS, fnlp): `Llama3_1-8B-Base-L9R-8x/{hyperparams.json, checkpoints/final.safetensors}`, and the
 * R1-distill release with `config.json` and per-latent `log_jumprelu_threshold`.
 *
 * Trained on x·s with s = √d_model / dataset_average_activation_norm.in. sae-lens@6.54 `llama_scope_sae_huggingface_loader`
 * multiplies the scalar threshold by s too and then folds s into W_enc, W_dec and b_dec; so do we.
 */
import { dirname, join, relative } from "node:path";
import { exists } from "../../files/disk.ts";
import { ConfigFile } from "../config-file.ts";
import { unsupportedSetting } from "../errors.ts";
import { type Facts, requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { SaePlace } from "../place.ts";
import type { TensorFile } from "../tensor-file.ts";
import type { SaeConfig } from "../config.ts";
import { type Format, type FoundSae, uncheckedLayout } from "./format.ts";

/** Llama Scope base release. */
export const llamaScope: Format = {
  name: "Llama Scope",
  matches: (place) => rootOf(place) !== undefined,
  read(place, facts) {
    const root = rootOf(place)!;
    const cfg = ConfigFile.read(join(root, "hyperparams.json"));
    const weights =
      place.fileName === undefined
        ? place.tensors(relative(place.folder, join(root, "checkpoints", "final.safetensors")))
        : place.tensors(place.fileName);
    const d_sae = cfg.size("d_sae");
    const factor = scalingFactor(place, cfg, facts);
    const threshold = cfg.number("jump_relu_threshold") * factor;
    const located = {
      ...locate(weights),
      threshold: {
        in: weights,
        key: "jump_relu_threshold",
        values: new Float32Array(d_sae).fill(threshold),
      },
    };
    return found(place, { cfg, weights, facts, d_sae, factor, located, badges: [] });
  },
};

/** Llama Scope's R1-distill release. */
export const llamaScopeR1: Format = {
  name: "Llama Scope R1-distill",
  matches: (place) =>
    place.has("config.json") &&
    place.has("sae_weights.safetensors") &&
    place.hasTensors("sae_weights.safetensors", ["log_jumprelu_threshold", "encoder.weight"]),
  read(place, facts) {
    const cfg = place.config("config.json");
    const weights = place.tensors("sae_weights.safetensors");
    const key = "log_jumprelu_threshold";
    const located = {
      ...locate(weights),
      threshold: { in: weights, key, values: weights.readFloat32(key).map(Math.exp) },
    };
    const d_sae = cfg.size("d_model") * cfg.size("expansion_factor");
    const factor = scalingFactor(place, cfg, facts);
    const badges = [uncheckedLayout];
    return found(place, { cfg, weights, facts, d_sae, factor, located, badges });
  },
};

/** The folder of `hyperparams.json`: the place, or above its `checkpoints`. */
function rootOf(place: SaePlace): string | undefined {
  const folders = [place.folder, dirname(place.folder)];
  const root = folders.find((folder) => exists(join(folder, "hyperparams.json")));
  if (root === undefined) return undefined;
  if (place.fileName !== undefined)
    return place.fileName.endsWith(".safetensors") ? root : undefined;
  return exists(join(root, "checkpoints", "final.safetensors")) ? root : undefined;
}

function locate(weights: TensorFile): Record<string, Located> {
  return {
    W_enc: { in: weights, key: "encoder.weight", transposed: true },
    b_enc: { in: weights, key: "encoder.bias" },
    W_dec: { in: weights, key: "decoder.weight", transposed: true },
    b_dec: { in: weights, key: "decoder.bias" },
  };
}

function scalingFactor(place: SaePlace, cfg: ConfigFile, facts: Facts): number {
  const norm = cfg.object("dataset_average_activation_norm").maybeNumber("in");
  const stated = norm === undefined ? undefined : Math.sqrt(cfg.size("d_model")) / norm;
  return requireFacts(place.path, llamaScope.name, {
    scalingFactor: facts.number("scalingFactor") ?? stated,
  }).scalingFactor;
}

function found(
  place: SaePlace,
  parts: {
    cfg: ConfigFile;
    weights: TensorFile;
    facts: Facts;
    d_sae: number;
    factor: number;
    located: Record<string, Located>;
    badges: string[];
  },
): FoundSae {
  const { cfg, weights, facts, d_sae, factor, located, badges } = parts;
  const d_in = cfg.size("d_model");
  const pointIn = cfg.maybeString("hook_point_in");
  const pointOut = cfg.maybeString("hook_point_out");
  const { hook } = requireFacts(place.path, llamaScope.name, {
    hook: facts.string("hook") ?? pointIn,
  });
  if (pointOut !== undefined && pointOut !== pointIn)
    throw unsupportedSetting(
      { file: cfg.file, key: "hook_point_out", found: pointOut },
      "Llama Scope's transcoders scale their output by another factor and are not read",
    );
  const config: SaeConfig = {
    architecture: "jumprelu",
    d_in,
    d_out: d_in,
    d_sae,
    hook,
    model: facts.string("model") ?? "meta-llama/Llama-3.1-8B",
    prependBos: facts.boolean("prependBos") ?? true,
    n_ctx: facts.number("n_ctx") ?? 1024,
    normalization: { kind: "scale", factor },
    applyBDecToInput: false,
    options: {},
    declared: {},
    dtypeNote: weights.source("encoder.weight").dtype,
  };
  return { config, located, badges };
}
