/**
 * EleutherAI sparsify: `<run>/<hookpoint>/{cfg.json, sae.safetensors}` and `<run>/config.json`.
 *
 * eai-sparsify@1.3 sparse_coder.py: W_dec is stored `[num_latents, d_in]`, which is our orientation (SAELens' loader
 * transposes it all the same); b_dec is subtracted from the input unless `transcode`; ReLU, then the k largest.
 */
import { basename, dirname, join } from "node:path";
import { exists } from "../../files/disk.ts";
import { parseHookPoint, printHookPoint } from "../../lm/hook-points.ts";
import { ConfigFile } from "../config-file.ts";
import { unsupportedSetting } from "../errors.ts";
import { requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { TensorFile } from "../tensor-file.ts";
import { declaredFacts } from "./declared.ts";
import type { Format } from "./format.ts";

const weightsName = "sae.safetensors";

/** sparsify, also releases before 1.0 with `W_enc` and `signed`. */
export const sparsify: Format = {
  name: "sparsify",
  matches: (place) => place.has("cfg.json") && place.has(weightsName),
  read(place, facts) {
    const cfg = place.config("cfg.json");
    const runPath = join(dirname(place.folder), "config.json");
    const run = exists(runPath) ? ConfigFile.read(runPath) : undefined;
    const weights = place.tensors(weightsName);
    const activation = cfg.maybeString("activation") ?? "topk";
    if (activation !== "topk")
      throw unsupportedSetting(
        { file: cfg.file, key: "activation", found: activation },
        "readable is topk",
      );
    const d_in = cfg.size("d_in");
    // 0 stands for the factor: sparsify itself saves it so.
    const d_sae = cfg.maybeNumber("num_latents") || d_in * cfg.size("expansion_factor");
    const transcode = cfg.maybeBoolean("transcode") ?? false;
    const skip = cfg.maybeBoolean("skip_connection") ?? false;
    const signed = cfg.maybeBoolean("signed") ?? false;
    if (signed && skip)
      throw unsupportedSetting(
        { file: cfg.file, key: "signed", found: signed },
        "signed latents are not read beside a skip connection",
      );
    const hooks = hooksOf(basename(place.folder), transcode);
    const { hook } = requireFacts(place.path, sparsify.name, {
      hook: facts.string("hook") ?? hooks?.hook,
    });
    const hookOut = transcode
      ? requireFacts(place.path, sparsify.name, {
          hookOut: facts.string("hookOut") ?? hooks?.hookOut,
        }).hookOut
      : undefined;
    const n_ctx = facts.number("n_ctx") ?? run?.maybeSize("ctx_len");
    const model = facts.string("model") ?? run?.maybeString("model");
    const badges: string[] = [];
    if (signed) badges.push("signed TopK: not checked against real weights");
    if (facts.boolean("prependBos") === undefined)
      badges.push("BOS policy not stated, BOS assumed");
    return {
      config: {
        architecture: skip ? "topk_skip_transcoder" : signed ? "abstopk" : "topk",
        d_in,
        d_out: d_in,
        d_sae,
        hook,
        ...(hookOut === undefined ? {} : { hookOut }),
        ...(model === undefined ? {} : { model }),
        prependBos: facts.boolean("prependBos") ?? true,
        ...(n_ctx === undefined ? {} : { n_ctx }),
        normalization: { kind: "none" },
        applyBDecToInput: !transcode,
        k: facts.number("k") ?? cfg.size("k"),
        options: {},
        declared: declaredFacts(cfg),
        dtypeNote: dtypeOf(weights),
      },
      located: locate(weights),
      badges,
    };
  },
};

function locate(weights: TensorFile): Record<string, Located | undefined> {
  const find = (...keys: string[]): Located | undefined => {
    const key = keys.find((it) => weights.dims(it) !== undefined);
    return key === undefined ? undefined : { in: weights, key };
  };
  const encoder = find("encoder.weight");
  return {
    W_enc: encoder ? { in: weights, key: "encoder.weight", transposed: true } : find("W_enc"),
    b_enc: find("encoder.bias", "b_enc"),
    W_dec: find("W_dec"),
    b_dec: find("b_dec"),
    W_skip: find("W_skip"),
  };
}

/** The folder is the module's path: `layers.10`, `layers.10.mlp`, `embed_tokens`. A transcoder reads what the module reads. */
function hooksOf(
  folder: string,
  transcode: boolean,
): { hook: string; hookOut?: string } | undefined {
  if (folder === "embed_tokens") return { hook: "hook_embed" };
  const match = /^layers[._](\d+)(?:[._](.+))?$/.exec(folder);
  if (!match) return undefined;
  const [, layer, module] = match;
  if (!transcode) {
    const path = module === undefined ? `layers.${layer}` : `layers.${layer}.${module}`;
    return { hook: printHookPoint(parseHookPoint(path)) };
  }
  if (module !== "mlp") return undefined;
  return { hook: `blocks.${layer}.mlp.hook_in`, hookOut: `blocks.${layer}.mlp.hook_out` };
}

function dtypeOf(weights: TensorFile): string {
  return weights.source(weights.names()[0]!).dtype;
}
