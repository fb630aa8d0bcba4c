/**
 * SAELens on disk: `cfg.json` and `sae_weights.safetensors`, versions 3 to 6 and training checkpoints.
 *
 * sae-lens@6.54 loading/pretrained_sae_loaders.py (`handle_pre_6_0_config`, `read_sae_components_from_disk`) and
 * saes/*.py. What it calls `normalize_activations: expected_average_only_in` does nothing at run time there; a factor
 * that is stated beside the weights (`activation_scaler.json` of a training checkpoint) or as a fact is applied.
 */
import type { Normalization, SaeConfig } from "../config.ts";
import type { ConfigFile } from "../config-file.ts";
import { unknownArchitecture, unsupportedSetting } from "../errors.ts";
import { type Facts, requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { SaePlace } from "../place.ts";
import type { TensorFile } from "../tensor-file.ts";
import { declaredFacts, trainedWith } from "./declared.ts";
import type { Format, FoundSae } from "./format.ts";
import { rowNorms } from "./row-norms.ts";

const weightsName = "sae_weights.safetensors";
const configName = "cfg.json";

/** Their architecture to ours. */
const architectures: Readonly<Record<string, string>> = {
  standard: "standard",
  topk: "topk",
  abstopk: "abstopk",
  jumprelu: "jumprelu",
  gated: "gated",
  batchtopk: "batchtopk",
  matryoshka_batchtopk: "matryoshka",
  transcoder: "transcoder",
  skip_transcoder: "skip_transcoder",
  jumprelu_transcoder: "jumprelu_transcoder",
  jumprelu_skip_transcoder: "jumprelu_skip_transcoder",
  matching_pursuit: "matching_pursuit",
  temporal: "temporal",
};

/** SAELens 3 to 6. */
export const saeLens: Format = {
  name: "SAELens",
  matches: (place) => place.has(configName) && place.has(weightsName),
  read(place, facts) {
    const file = place.config(configName);
    const cfg = modern(file);
    const weights = place.tensors(weightsName);
    const badges: string[] = [];
    const architecture = architectureOf(cfg);
    if (cfg.metadata.maybeNumber("hook_head_index") !== undefined)
      throw unsupportedSetting(
        at(cfg.metadata, "hook_head_index"),
        "SAEs of a single attention head are not read",
      );
    const config = configOf(place, cfg, architecture, { facts, badges });
    const located: Record<string, Located> = {};
    for (const key of weights.names()) located[key] = { in: weights, key };
    thresholds(located, weights, config);
    scaling(located, weights, cfg, config);
    return { config, located, badges } satisfies FoundSae;
  },
};

/** A config with the keys of version 6, whatever its version. */
interface ModernConfig {
  readonly file: ConfigFile;
  readonly metadata: ConfigFile;
  readonly legacy: boolean;
}

function modern(file: ConfigFile): ModernConfig {
  const inner = file.object("metadata");
  const version = inner.maybeString("sae_lens_version") ?? file.maybeString("sae_lens_version");
  const legacy = version === undefined ? !file.has("metadata") : Number.parseInt(version, 10) < 6;
  return { file, metadata: legacy && !file.has("metadata") ? file : inner, legacy };
}

function architectureOf({ file, legacy }: ModernConfig): string {
  const found = file.value("architecture") ?? (legacy ? "standard" : undefined);
  if (legacy) {
    const key = file.has("activation_fn") ? "activation_fn" : "activation_fn_str";
    const activation = file.value(key) ?? "relu";
    if (activation === "topk" && found === "standard") return "topk";
    if (activation !== "relu" && activation !== "topk")
      throw unsupportedSetting(at(file, key), "readable are relu and topk");
  }
  const ours = typeof found === "string" ? architectures[found] : undefined;
  if (ours === undefined)
    throw unknownArchitecture(at(file, "architecture"), found, Object.keys(architectures));
  return ours;
}

function configOf(
  place: SaePlace,
  cfg: ModernConfig,
  architecture: string,
  { facts, badges }: { facts: Facts; badges: string[] },
): SaeConfig {
  const { file, metadata, legacy } = cfg;
  const transcoder = architecture.endsWith("transcoder");
  const metaOf = metaParent(metadata, facts);
  const d_in = file.size("d_in");
  const { hook } = requireFacts(place.path, saeLens.name, {
    hook: metaOf ?? facts.string("hook") ?? hookName(metadata, "hook_name", "hook_point"),
  });
  const statedOut = facts.string("hookOut") ?? metadata.maybeString("hook_name_out");
  const { hookOut } = transcoder
    ? requireFacts(place.path, saeLens.name, { hookOut: statedOut })
    : {};
  const applyBDecToInput = file.maybeBoolean("apply_b_dec_to_input") ?? true;
  if (transcoder && applyBDecToInput)
    throw unsupportedSetting(
      at(file, "apply_b_dec_to_input"),
      "a transcoder's b_dec belongs to its output; set it to false",
    );
  const k = facts.number("k") ?? kOf(cfg, architecture);
  const n_ctx = facts.number("n_ctx") ?? metadata.maybeSize("context_size");
  const model = facts.string("model") ?? metadata.maybeString("model_name");
  const groups = groupsOf(cfg);
  const training = metadata.object("training_architecture_details");
  return {
    architecture,
    d_in,
    d_out: transcoder ? file.size("d_out") : d_in,
    d_sae: file.size("d_sae"),
    hook,
    ...(hookOut === undefined ? {} : { hookOut }),
    ...(model === undefined ? {} : { model }),
    prependBos: bosPolicy(metadata, facts, legacy, badges),
    ...(n_ctx === undefined ? {} : { n_ctx }),
    ...(metaOf === undefined ? {} : { metaOf }),
    normalization: normalizationOf(place, cfg, facts, badges),
    applyBDecToInput,
    ...(k === undefined ? {} : { k }),
    ...(groups === undefined ? {} : { groups }),
    ...(architecture === "temporal" ? { wholeSequences: true } : {}),
    options: optionsOf(file, architecture),
    declared: { ...declaredFacts(file, metadata, training), ...trainedWith(training) },
    dtypeNote: file.maybeString("dtype") ?? "float32",
  };
}

function hookName(metadata: ConfigFile, ...keys: string[]): string | undefined {
  return keys.map((key) => metadata.maybeString(key)).find((it) => it !== undefined);
}

/** `metadata.meta_of`, `metadata.meta_sae_of`, or a hook name that says decoder rows. */
function metaParent(metadata: ConfigFile, facts: Facts): string | undefined {
  const rows = /^W_dec rows of (.+)$/i.exec(metadata.maybeString("hook_name") ?? "")?.[1];
  return (
    facts.string("metaOf") ??
    metadata.maybeString("meta_of") ??
    metadata.maybeString("meta_sae_of") ??
    rows
  );
}

/** SAELens 3 to 5 prepend BOS unless told otherwise; version 6 always says. */
function bosPolicy(metadata: ConfigFile, facts: Facts, legacy: boolean, badges: string[]): boolean {
  const stated = facts.boolean("prependBos") ?? metadata.maybeBoolean("prepend_bos");
  if (stated === undefined && !legacy) badges.push("BOS policy not stated, BOS assumed");
  return stated ?? true;
}

function kOf({ file }: ModernConfig, architecture: string): number | undefined {
  if (architecture !== "topk" && architecture !== "abstopk") return undefined;
  return file.maybeSize("k") ?? file.object("activation_fn_kwargs").size("k");
}

function groupsOf({ file, metadata }: ModernConfig): number[] | undefined {
  const key = "matryoshka_widths";
  return (
    file.maybeSizes(key) ?? metadata.object("training_architecture_details").maybeSizes(key)
  )?.sort((a, b) => a - b);
}

function optionsOf(file: ConfigFile, architecture: string): SaeConfig["options"] {
  if (architecture === "matching_pursuit")
    return {
      residual_threshold: file.maybeNumber("residual_threshold") ?? 1e-2,
      max_iterations: file.maybeSize("max_iterations") ?? file.size("d_in"),
      stop_on_duplicate_support: file.maybeBoolean("stop_on_duplicate_support") ?? true,
    };
  if (architecture !== "temporal") return {};
  const kind = file.maybeString("sae_diff_type") ?? "topk";
  if (kind !== "relu" && kind !== "topk") throw file.wrong("sae_diff_type", "relu or topk");
  const k = kind === "topk" ? file.maybeSize("kval_topk") : undefined;
  return {
    n_heads: file.maybeSize("n_heads") ?? 8,
    n_attn_layers: file.maybeSize("n_attn_layers") ?? 1,
    bottleneck_factor: file.maybeSize("bottleneck_factor") ?? 64,
    tied_weights: file.maybeBoolean("tied_weights") ?? true,
    ...(k === undefined ? {} : { kval_topk: k }),
  };
}

function normalizationOf(
  place: SaePlace,
  { file }: ModernConfig,
  facts: Facts,
  badges: string[],
): Normalization {
  const found = file.value("normalize_activations") ?? false;
  switch (found) {
    case false:
    case "none":
      return { kind: "none" };
    case "constant_norm_rescale":
      return { kind: "constant_norm_rescale" };
    case "layer_norm":
      return { kind: "layer_norm" };
    case "constant_scalar_rescale":
      return { kind: "scale", factor: file.number("activation_normalization_factor") };
    case true:
    case "expected_average_only_in": {
      const factor =
        facts.number("scalingFactor") ??
        place.maybeConfig("activation_scaler.json")?.maybeNumber("scaling_factor");
      if (factor !== undefined) return { kind: "scale", factor };
      badges.push("trained on scaled activations, factor not stated: read unscaled");
      return { kind: "none" };
    }
    default:
      throw unsupportedSetting(
        at(file, "normalize_activations"),
        "readable are none, expected_average_only_in, constant_norm_rescale and layer_norm; whitening is folded when SAELens saves the SAE for inference",
      );
  }
}

/** A BatchTopK checkpoint has one scalar threshold; a JumpReLU one may have its logarithm. */
function thresholds(
  located: Record<string, Located>,
  weights: TensorFile,
  { architecture, d_sae }: SaeConfig,
): void {
  if (weights.dims("log_threshold") !== undefined) {
    const values = weights.readFloat32("log_threshold").map(Math.exp);
    located["threshold"] = { in: weights, key: "log_threshold", values };
  }
  const scalar = architecture === "batchtopk" || architecture === "matryoshka";
  if (!scalar || weights.dims("topk_threshold")?.length !== 0) return;
  const values = new Float32Array(d_sae).fill(weights.readFloat32("topk_threshold")[0]!);
  located["threshold"] = { in: weights, key: "topk_threshold", values };
}

/**
 * `rescale_acts_by_decoder_norm`: pre-activations are multiplied by the norms of W_dec's rows and activations divided
 * by them before decoding (topk_sae.py). `scaling_factor`: multiplies activations before decoding (version 3), dropped
 * where it is all ones, as SAELens does.
 */
function scaling(
  located: Record<string, Located>,
  weights: TensorFile,
  { file }: ModernConfig,
  { d_sae, d_out }: SaeConfig,
): void {
  if (file.maybeBoolean("rescale_acts_by_decoder_norm")) {
    const norms = rowNorms({ in: weights, key: "W_dec" }, [d_sae, d_out]);
    located["preScale"] = { in: weights, key: "W_dec", values: norms };
    located["decodeScale"] = { in: weights, key: "W_dec", values: norms.map((norm) => 1 / norm) };
  }
  const key = "scaling_factor";
  if (weights.dims(key) === undefined) return;
  const values = weights.readFloat32(key);
  if (values.every((factor) => Math.abs(factor - 1) < 1e-5)) return;
  if (!file.maybeBoolean("finetuning_scaling_factor"))
    throw unsupportedSetting(
      { file: weights.description, key, found: "not all ones" },
      `finetuning_scaling_factor in ${file.file} does not say that it is to be used`,
    );
  located["decodeScale"] = { in: weights, key, values };
}

function at(file: ConfigFile, key: string): { file: string; key: string; found: unknown } {
  return { file: file.file, key: file.path(key), found: file.value(key) };
}
