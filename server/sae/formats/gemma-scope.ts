/**
 * Gemma Scope 1 and 2 (Google DeepMind).
 *
 * 1: `google/gemma-scope-{2b,9b,27b}-{pt,it}-{res,mlp,att,transcoders}`, `layer_L/width_W/average_l0_N/params.npz`
 * with W_enc, W_dec (or w_…), b_enc, b_dec, threshold; everything else stands in the path. 2: `params.safetensors` with
 * w_enc, w_dec, …, `affine_skip_connection [d_in, d_out]`, and `config.json` with the hook points as module paths.
 * b_dec is not subtracted from the input. sae-lens@6.54 pretrained_sae_loaders.py, `gemma_2_…` and `gemma_3_…`.
 */
import { unknownArchitecture } from "../errors.ts";
import { requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { TensorFile } from "../tensor-file.ts";
import { declaredFacts } from "./declared.ts";
import type { Format } from "./format.ts";
import { sizesOf } from "./sizes.ts";

const model1 = /gemma-scope-(\d+b)-(pt|it)-(res|mlp|att|transcoders)/;

/** Gemma Scope 1. */
export const gemmaScope: Format = {
  name: "Gemma Scope",
  matches: (place) => place.has("params.npz"),
  read(place, facts) {
    const weights = place.tensors("params.npz");
    const located = locate(weights);
    const { d_in, d_sae, d_out } = sizesOf(located);
    const path = place.folder.replaceAll("\\", "/");
    const repo = model1.exec(path);
    const layer = /layer_(\d+)/.exec(path)?.[1];
    const embedding = /(^|\/)embedding(\/|$)/.test(path);
    const hooks = embedding ? { hook: "hook_embed" } : hooksOf1(repo?.[3], layer);
    const { hook } = requireFacts(place.path, gemmaScope.name, {
      hook: facts.string("hook") ?? hooks?.hook,
    });
    const hookOut = facts.string("hookOut") ?? hooks?.hookOut;
    const model =
      facts.string("model") ??
      (repo ? `google/gemma-2-${repo[1]}${repo[2] === "it" ? "-it" : ""}` : undefined);
    const l0 = /average_l0_(\d+)/.exec(path)?.[1];
    const root = Math.sqrt(d_in);
    if (embedding) located["b_dec"] = scaled(weights, "b_dec", 1 / root);
    return {
      config: {
        architecture: hookOut === undefined ? "jumprelu" : "jumprelu_transcoder",
        d_in,
        d_out,
        d_sae,
        hook,
        ...(hookOut === undefined ? {} : { hookOut }),
        ...(model === undefined ? {} : { model }),
        prependBos: facts.boolean("prependBos") ?? true,
        n_ctx: facts.number("n_ctx") ?? 1024,
        // Embedding SAEs were trained on embeddings before Gemma's factor √d: W_enc/√d and W_dec·√d in SAELens.
        normalization: embedding ? { kind: "scale", factor: 1 / root } : { kind: "none" },
        applyBDecToInput: false,
        options: {},
        declared: l0 === undefined ? {} : { l0: Number(l0) },
        dtypeNote: weights.source(weights.names()[0]!).dtype,
      },
      located,
      badges: embedding ? ["embedding SAE: scale not checked against real weights"] : [],
    };
  },
};

/** Gemma Scope 2. */
export const gemmaScope2: Format = {
  name: "Gemma Scope 2",
  matches: (place) => place.has("params.safetensors") && place.has("config.json"),
  read(place, facts) {
    const cfg = place.config("config.json");
    const architecture = cfg.value("architecture");
    if (architecture !== "jump_relu")
      throw unknownArchitecture({ file: cfg.file, key: "architecture" }, architecture, [
        "jump_relu",
      ]);
    const weights = place.tensors("params.safetensors");
    const located = locate(weights);
    const { d_in, d_sae, d_out } = sizesOf(located);
    const pointIn = cfg.maybeString("hf_hook_point_in");
    const pointOut = cfg.maybeString("hf_hook_point_out");
    const transcoder = pointOut !== undefined && pointOut !== pointIn;
    const { hook } = requireFacts(place.path, gemmaScope2.name, {
      hook: facts.string("hook") ?? (pointIn === undefined ? undefined : hookOf(pointIn)),
    });
    const hookOut = transcoder
      ? requireFacts(place.path, gemmaScope2.name, {
          hookOut: facts.string("hookOut") ?? hookOf(pointOut),
        }).hookOut
      : undefined;
    const model = facts.string("model") ?? modelOf(cfg.maybeString("model_name"));
    const skip = located["W_skip"] !== undefined;
    return {
      config: {
        architecture: skip
          ? "jumprelu_skip_transcoder"
          : transcoder
            ? "jumprelu_transcoder"
            : "jumprelu",
        d_in,
        d_out,
        d_sae,
        hook,
        ...(hookOut === undefined ? {} : { hookOut }),
        ...(model === undefined ? {} : { model }),
        prependBos: facts.boolean("prependBos") ?? true,
        n_ctx: facts.number("n_ctx") ?? 1024,
        normalization: { kind: "none" },
        applyBDecToInput: false,
        options: {},
        declared: declaredFacts(cfg),
        dtypeNote: weights.source(weights.names()[0]!).dtype,
      },
      located,
      badges: [],
    };
  },
};

function locate(weights: TensorFile): Record<string, Located | undefined> {
  const find = (...keys: string[]): Located | undefined => {
    const key = keys.find((it) => weights.dims(it) !== undefined);
    return key === undefined ? undefined : { in: weights, key };
  };
  const skip = find("affine_skip_connection");
  return {
    W_enc: find("W_enc", "w_enc"),
    b_enc: find("b_enc"),
    W_dec: find("W_dec", "w_dec"),
    b_dec: find("b_dec"),
    threshold: find("threshold"),
    // Stored [d_in, d_out]; a skip matrix is [d_out, d_in] everywhere else.
    W_skip: skip && { in: weights, key: "affine_skip_connection", transposed: true },
  };
}

function scaled(weights: TensorFile, key: string, factor: number): Located {
  return { in: weights, key, values: weights.readFloat32(key).map((value) => value * factor) };
}

/** Hook points of the kinds of repository. A transcoder reads the norm's output before the weight that RMSNorm has. */
const names1: Readonly<Record<string, { hook: string; hookOut?: string }>> = {
  res: { hook: "hook_resid_post" },
  mlp: { hook: "hook_mlp_out" },
  att: { hook: "attn.hook_z" },
  transcoders: { hook: "ln2.hook_normalized", hookOut: "hook_mlp_out" },
};

function hooksOf1(
  kind: string | undefined,
  layer: string | undefined,
): { hook: string; hookOut?: string } | undefined {
  const names = names1[kind ?? ""];
  if (!names || layer === undefined) return undefined;
  const hook = `blocks.${layer}.${names.hook}`;
  return names.hookOut === undefined
    ? { hook }
    : { hook, hookOut: `blocks.${layer}.${names.hookOut}` };
}

/**
 * Gemma 3's module paths. The post-norm's output is what the MLP adds to the residual, so that it is the
 * contribution (`hook_mlp_out`), not the raw output.
 */
function hookOf(point: string): string | undefined {
  const match = /layers\.(\d+)\.(.+)$/.exec(point);
  const names: Readonly<Record<string, string>> = {
    output: "hook_resid_post",
    "self_attn.o_proj.input": "attn.hook_z",
    "post_attention_layernorm.output": "hook_attn_out",
    "pre_feedforward_layernorm.output": "mlp.hook_in",
    "post_feedforward_layernorm.output": "hook_mlp_out",
  };
  const [, layer, place = ""] = match ?? [];
  return Object.hasOwn(names, place) ? `blocks.${layer}.${names[place]}` : undefined;
}

/** The config says gemma-v3-1b-pt where the Hub says google/gemma-3-1b-pt; the 270m model has no -pt. */
function modelOf(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const hub = (name.startsWith("google/") ? name : `google/${name}`).replace("-v3", "-3");
  return hub.includes("270m") ? hub.replace("-pt", "") : hub;
}
