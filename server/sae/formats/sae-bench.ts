/**
 * SAEBench's custom classes as a state dict with their config: `cfg.json` and `state_dict.safetensors` (or `sae.pt`).
 *
 * sae-bench@0.6 custom_saes/*.py. The library has no saving function; the class follows from the tensors. Its JumpReLU
 * class does not subtract b_dec from the input, the others do. It insists on unit-norm decoder rows, which we only show.
 */
import { thresholdNotLearned, unknownArchitecture } from "../errors.ts";
import { requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { TensorFile } from "../tensor-file.ts";
import type { Format } from "./format.ts";
import { sizesOf } from "./sizes.ts";

const weightsNames = ["state_dict.safetensors", "state_dict.pt", "sae.pt"];

/** SAEBench custom SAEs. */
export const saeBench: Format = {
  name: "SAEBench",
  matches: (place) => place.has("cfg.json") && weightsNames.some((name) => place.has(name)),
  read(place, facts) {
    const cfg = place.config("cfg.json");
    const weights = place.tensors(weightsNames.find((name) => place.has(name))!);
    const architecture = architectureOf(weights);
    const located: Record<string, Located> = {};
    for (const key of weights.names()) located[key] = { in: weights, key };
    const gate = located["gate_bias"];
    if (gate) located["b_gate"] = gate;
    const sizes = sizesOf(located);
    const k = facts.number("k") ?? scalar(weights, "k");
    if (architecture === "batchtopk") {
      const threshold = scalar(weights, "threshold") ?? -1;
      if (!(threshold >= 0)) throw thresholdNotLearned(weights.description, threshold);
      const values = new Float32Array(sizes.d_sae).fill(threshold);
      located["threshold"] = { in: weights, key: "threshold", values };
    }
    const { hook } = requireFacts(place.path, saeBench.name, {
      hook: facts.string("hook") ?? cfg.maybeString("hook_name"),
    });
    const n_ctx = facts.number("n_ctx") ?? cfg.maybeSize("context_size");
    const model = facts.string("model") ?? cfg.maybeString("model_name");
    return {
      config: {
        ...sizes,
        architecture,
        hook,
        prependBos: facts.boolean("prependBos") ?? cfg.maybeBoolean("prepend_bos") ?? true,
        ...(n_ctx === undefined ? {} : { n_ctx }),
        ...(model === undefined ? {} : { model }),
        normalization: { kind: "none" },
        applyBDecToInput: architecture !== "jumprelu",
        ...(architecture === "topk" ? requireFacts(place.path, saeBench.name, { k }) : {}),
        options: {},
        declared: k === undefined ? {} : { k },
        dtypeNote: cfg.maybeString("dtype") ?? "float32",
      },
      located,
      badges: [],
    };
  },
};

function architectureOf(weights: TensorFile): string {
  const has = (key: string): boolean => weights.dims(key) !== undefined;
  const threshold = weights.dims("threshold")?.length;
  if (!has("W_enc") || !has("W_dec"))
    throw unknownArchitecture(
      { file: weights.description, key: "tensors" },
      weights.names().join(", "),
      ["ReluSAE", "TopKSAE", "BatchTopKSAE", "JumpReluSAE", "GatedSAE"],
    );
  if (has("gate_bias") && has("r_mag")) return "gated";
  if (threshold === 1) return "jumprelu";
  if (threshold === 0) return "batchtopk";
  return has("k") ? "topk" : "standard";
}

function scalar(weights: TensorFile, key: string): number | undefined {
  return weights.dims(key)?.length === 0 ? weights.readFloat32(key)[0] : undefined;
}
