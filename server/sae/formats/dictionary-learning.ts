/**
 * dictionary_learning (Marks, Karvonen, Mueller): `trainer_N/{ae.pt, config.json}`, `checkpoints/ae_<step>.pt`.
 *
 * dictionary_learning@0.1.0 dictionary.py and trainers/*.py. Every class is read with its own rule; without a config
 * the class follows from the tensors' names. As `AutoEncoder.from_pretrained` does by default, an AutoEncoder's decoder
 * rows are scaled to norm 1 and its activations up by the norms; the fact `normalizeDecoder: false` leaves both.
 */
import { dirname, join } from "node:path";
import { exists } from "../../files/disk.ts";
import type { SaeConfig } from "../config.ts";
import { ConfigFile } from "../config-file.ts";
import { thresholdNotLearned, unknownArchitecture } from "../errors.ts";
import { type Facts, requireFacts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { SaePlace } from "../place.ts";
import type { TensorFile } from "../tensor-file.ts";
import type { Format } from "./format.ts";
import { rowNorms } from "./row-norms.ts";
import { sizesOf } from "./sizes.ts";

const weightsName = /^ae(_\d+)?\.(pt|safetensors)$/;

/** What a class reads: its architecture, its tensors by our names, and whether b_dec is subtracted from the input. */
interface DictClass {
  readonly architecture: string;
  readonly applyBDecToInput: boolean;
  /** Our name to theirs; "T" before a name means that it is stored with its dimensions swapped. */
  readonly keys: Readonly<Record<string, string>>;
}

const linear = { W_enc: "T encoder.weight", W_dec: "T decoder.weight" };
const plain = { W_enc: "W_enc", b_enc: "b_enc", W_dec: "W_dec", b_dec: "b_dec" };

const classes: Readonly<Record<string, DictClass>> = {
  AutoEncoder: {
    architecture: "standard",
    applyBDecToInput: true,
    keys: { ...linear, b_enc: "encoder.bias", b_dec: "bias" },
  },
  AutoEncoderNew: {
    architecture: "standard",
    applyBDecToInput: false,
    keys: { ...linear, b_enc: "encoder.bias", b_dec: "decoder.bias" },
  },
  GatedAutoEncoder: {
    architecture: "gated",
    applyBDecToInput: true,
    keys: {
      ...linear,
      b_dec: "decoder_bias",
      r_mag: "r_mag",
      b_gate: "gate_bias",
      b_mag: "mag_bias",
    },
  },
  AutoEncoderTopK: {
    architecture: "topk",
    applyBDecToInput: true,
    keys: { ...linear, b_enc: "encoder.bias", b_dec: "b_dec" },
  },
  BatchTopKSAE: {
    architecture: "batchtopk",
    applyBDecToInput: true,
    keys: { ...linear, b_enc: "encoder.bias", b_dec: "b_dec" },
  },
  MatryoshkaBatchTopKSAE: { architecture: "matryoshka", applyBDecToInput: true, keys: plain },
  JumpReluAutoEncoder: {
    architecture: "jumprelu",
    applyBDecToInput: false,
    keys: { ...plain, threshold: "threshold" },
  },
};

/** dictionary_learning. */
export const dictionaryLearning: Format = {
  name: "dictionary_learning",
  matches: (place) => weightsFile(place) !== undefined,
  read(place, facts) {
    const weights = place.tensors(weightsFile(place)!);
    const config = configBeside(place);
    const trainer = config?.object("trainer");
    const name = trainer?.maybeString("dict_class") ?? classOf(weights);
    const known = name === undefined ? undefined : classes[name];
    if (!known)
      throw unknownArchitecture(
        { file: trainer?.file ?? weights.description, key: "trainer.dict_class" },
        name ?? `not stated, and the tensors ${weights.names().join(", ")} fit no class`,
        Object.keys(classes),
      );
    const located = locate(weights, known);
    const sizes = sizesOf(located);
    const stated = statedFacts(place, facts, trainer, config?.object("buffer"));
    const k = facts.number("k") ?? trainer?.maybeNumber("k") ?? scalar(weights, "k");
    const byThreshold =
      known.architecture === "batchtopk" ||
      known.architecture === "matryoshka" ||
      (known.architecture === "topk" && facts.boolean("useThreshold") === true);
    if (byThreshold) located["threshold"] = spread(weights, sizes.d_sae);
    const badges = normalizeDecoder(name!, located, sizes, facts);
    const groups = groupsOf(weights);
    return {
      config: {
        ...sizes,
        ...stated,
        architecture:
          byThreshold && known.architecture === "topk" ? "batchtopk" : known.architecture,
        normalization: { kind: "none" },
        applyBDecToInput: known.applyBDecToInput,
        ...(known.architecture === "topk" && !byThreshold
          ? requireFacts(place.path, dictionaryLearning.name, { k })
          : {}),
        ...(groups === undefined ? {} : { groups }),
        options: {},
        declared: { dict_class: name!, ...(k === undefined ? {} : { k }) },
        dtypeNote: weights.source(weights.names()[0]!).dtype,
      },
      located,
      badges:
        facts.boolean("prependBos") === undefined
          ? [...badges, "BOS policy not stated, BOS assumed"]
          : badges,
    };
  },
};

/** `ae.pt` first: the safetensors copy is not the library's own. */
function weightsFile(place: SaePlace): string | undefined {
  if (place.fileName !== undefined)
    return weightsName.test(place.fileName) ? place.fileName : undefined;
  return ["ae.pt", "ae.safetensors"].find((name) => place.has(name));
}

/** `config.json` of the folder, or of the trainer's folder for a checkpoint. */
function configBeside(place: SaePlace): ConfigFile | undefined {
  const folders = [place.folder, dirname(place.folder)];
  const path = folders.map((folder) => join(folder, "config.json")).find((it) => exists(it));
  return path === undefined ? undefined : ConfigFile.read(path);
}

/** The class whose tensors these are; the same names mean the same class but for the two threshold classes. */
function classOf(weights: TensorFile): string | undefined {
  const has = (key: string): boolean => weights.dims(key) !== undefined;
  if (has("group_sizes")) return "MatryoshkaBatchTopKSAE";
  if (has("gate_bias")) return "GatedAutoEncoder";
  if (has("W_enc") && has("threshold")) return "JumpReluAutoEncoder";
  if (!has("encoder.weight") || has("k")) return undefined;
  if (has("bias")) return "AutoEncoder";
  return has("decoder.bias") ? "AutoEncoderNew" : undefined;
}

function locate(weights: TensorFile, { keys }: DictClass): Record<string, Located | undefined> {
  return Object.fromEntries(
    Object.entries(keys).map(([name, theirs]) => {
      const transposed = theirs.startsWith("T ");
      return [name, { in: weights, key: transposed ? theirs.slice(2) : theirs, transposed }];
    }),
  );
}

/** The scalar threshold of a BatchTopK class for every latent; it is −1 until training has learned it. */
function spread(weights: TensorFile, d_sae: number): Located {
  const threshold = scalar(weights, "threshold") ?? -1;
  if (!(threshold >= 0)) throw thresholdNotLearned(weights.description, threshold);
  const values = new Float32Array(d_sae).fill(threshold);
  return { in: weights, key: "threshold", values };
}

function scalar(weights: TensorFile, key: string): number | undefined {
  return weights.dims(key)?.length === 0 ? weights.readFloat32(key)[0] : undefined;
}

function groupsOf(weights: TensorFile): number[] | undefined {
  if (weights.dims("group_sizes") === undefined) return undefined;
  let end = 0;
  return Array.from(weights.readFloat32("group_sizes"), (size) => (end += size));
}

/** Scales the decoder of an AutoEncoder; nothing where its rows have norm 1 already (torch.allclose's tolerance). */
function normalizeDecoder(
  name: string,
  located: Record<string, Located | undefined>,
  { d_sae, d_out }: { d_sae: number; d_out: number },
  facts: Facts,
): string[] {
  const decoder = located["W_dec"];
  if (name !== "AutoEncoder" || facts.boolean("normalizeDecoder") === false) return [];
  if (!decoder || "values" in decoder) return [];
  const norms = rowNorms(decoder, [d_sae, d_out]);
  if (norms.every((norm) => Math.abs(norm - 1) <= 1e-8 + 1e-5)) return [];
  const { in: file, key } = decoder;
  located["preScale"] = { in: file, key, values: norms };
  located["decodeScale"] = { in: file, key, values: norms.map((norm) => 1 / norm) };
  return ["decoder rows scaled to norm 1"];
}

function statedFacts(
  place: SaePlace,
  facts: Facts,
  trainer: ConfigFile | undefined,
  buffer: ConfigFile | undefined,
): Pick<SaeConfig, "hook" | "prependBos"> & Partial<Pick<SaeConfig, "n_ctx" | "model">> {
  const { hook } = requireFacts(place.path, dictionaryLearning.name, {
    hook: facts.string("hook") ?? (trainer && hookOf(trainer)),
  });
  const n_ctx = facts.number("n_ctx") ?? buffer?.maybeSize("ctx_len");
  const model = facts.string("model") ?? trainer?.maybeString("lm_name");
  return {
    hook,
    prependBos: facts.boolean("prependBos") ?? true,
    ...(n_ctx === undefined ? {} : { n_ctx }),
    ...(model === undefined ? {} : { model }),
  };
}

/** `resid_post_layer_9`; sub-modules are hooked raw. A name of another kind is no hook point that we know. */
function hookOf(trainer: ConfigFile): string | undefined {
  const name = trainer.maybeString("submodule_name");
  const layer = trainer.maybeNumber("layer");
  if (name === undefined)
    return layer === undefined ? undefined : `blocks.${layer}.hook_resid_post`;
  const match = /^(resid_post|resid|attention_out|attn_out|mlp_out)_layer_?(\d+)$/.exec(name);
  const kinds: Readonly<Record<string, string>> = {
    resid_post: "hook_resid_post",
    resid: "hook_resid_post",
    attention_out: "attn.hook_out",
    attn_out: "attn.hook_out",
    mlp_out: "mlp.hook_out",
  };
  return match ? `blocks.${match[2]}.${kinds[match[1]!]}` : undefined;
}
