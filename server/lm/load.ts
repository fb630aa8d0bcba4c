/** From a path to a language model: a Hugging Face folder, or a `.gguf` file with or without config and tokenizer beside it. */
import { dirname, join } from "node:path";
import { exists, isFolder, listFolder, readJson } from "../files/disk.ts";
import { openGguf } from "../files/gguf.ts";
import { openWeights, type Weights } from "../files/weights.ts";
import type { Device } from "../runtime/device.ts";
import { readGgufTokenizer } from "../text/gguf-tokenizer.ts";
import { readTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import type { Family } from "./architectures/architecture.ts";
import { families } from "./architectures/families.ts";
import { ConfigReader, maybeIds } from "./config.ts";
import { noDoubles, noModelHere, unknownFamily } from "./errors.ts";
import { ggufArchitecture, ggufConfig, ggufNaming } from "./gguf.ts";
import { LanguageModel } from "./language-model.ts";
import type { Precision } from "./precision.ts";
import { LmWeights, prefixNaming, type WeightNaming } from "./lm-weights.ts";

/** Options of loading. */
export interface LoadLmOptions {
  /** Preflight for reading up to this layer only; default: the whole model. */
  readonly deepestLayer?: number;
  /**
   * Numbers that blocks compute in. float64 (device cpu only, half as fast, twice the memory) is for comparing with other programs:
   * where a residual's large parts cancel, float32 sums of two programs differ by up to 3e-4 of a token's RMS.
   */
  readonly precision?: Precision;
}

/**
 * Opens a language model: reads config and headers, checks every tensor's shape and that the model fits the device's memory
 * budget. Weights are loaded block by block when first needed.
 */
export async function loadLm(
  path: string,
  device: Device,
  options: LoadLmOptions = {},
): Promise<LanguageModel> {
  const { precision = "float32" } = options;
  if (precision === "float64" && device.name !== "cpu") throw noDoubles(device.name);
  const source = findSource(path);
  const { family, config, weights } = source;
  const architecture = family.read(config);
  const named = new LmWeights(
    weights,
    source.naming(architecture.names.prefixes, architecture.names.embedding),
  );
  const tokenizer = findTokenizer(source);
  const lm = new LanguageModel({
    path,
    architecture,
    weights,
    named,
    device,
    readTokenizer: tokenizer?.read,
    hasChatTemplate: tokenizer?.hasChatTemplate ?? false,
    eosIds: findEosIds(source),
    precision,
  });
  try {
    lm.checkShapes();
    lm.preflight(options.deepestLayer);
  } catch (error) {
    await lm.release();
    throw error;
  }
  return lm;
}

/** Where a model's parts were found. */
interface Source {
  readonly folder: string;
  readonly family: Family;
  readonly config: ConfigReader;
  readonly weights: Weights;
  /** Metadata of a GGUF file. */
  readonly metadata?: ReadonlyMap<string, unknown>;
  naming(prefixes: readonly string[], probe: string): WeightNaming;
}

function findSource(path: string): Source {
  if (!exists(path)) throw noModelHere(path, "nothing is there");
  if (!isFolder(path)) {
    if (path.endsWith(".gguf")) return ggufSource(path);
    throw noModelHere(path, "this is another kind of file");
  }
  const names = listFolder(path);
  const ggufs = names.filter((name) => name.endsWith(".gguf"));
  const hasSafetensors = names.some((name) => /^model\.safetensors(\.index\.json)?$/.test(name));
  if (!hasSafetensors && ggufs.length === 1) return ggufSource(join(path, ggufs[0]!));
  if (!names.includes("config.json")) throw noModelHere(path, "there is no config.json");
  if (!hasSafetensors) throw noModelHere(path, "there is no model.safetensors or its index");
  const file = join(path, "config.json");
  const config = new ConfigReader(file, readJson(file));
  const family = familyOf(file, config.string("model_type"));
  const weights = openWeights(path);
  return {
    folder: path,
    family,
    config,
    weights,
    naming: (prefixes, probe) => prefixNaming(weights, prefixes, probe),
  };
}

/** A config.json beside the file is the model's own and wins over the metadata. */
function ggufSource(path: string): Source {
  const { weights, metadata } = openGguf(path);
  const architecture = ggufArchitecture(path, metadata);
  const family = families.find(({ gguf }) => gguf?.architecture === architecture);
  if (family?.gguf === undefined) {
    const known = families.flatMap(({ gguf }) => gguf?.architecture ?? []);
    throw unknownFamily(path, architecture, known);
  }
  const facts = family.gguf;
  const folder = dirname(path);
  const beside = join(folder, "config.json");
  const config = exists(beside)
    ? new ConfigReader(beside, readJson(beside))
    : new ConfigReader(path, ggufConfig(metadata, weights, facts, family.modelType));
  return {
    folder,
    // The config beside it may name a family that llama.cpp stores as another (Mistral as llama).
    family: exists(beside) ? familyOf(beside, config.string("model_type")) : family,
    config,
    weights,
    metadata,
    naming: () => ggufNaming(metadata, facts),
  };
}

function familyOf(file: string, modelType: string): Family {
  const found = families.find(
    (family) => family.modelType === modelType || family.alsoTypes?.includes(modelType),
  );
  if (found !== undefined) return found;
  throw unknownFamily(
    file,
    modelType,
    families.map((family) => family.modelType),
  );
}

function findTokenizer({
  folder,
  metadata,
}: Source): { read: () => Tokenizer; hasChatTemplate: boolean } | undefined {
  const file = join(folder, "tokenizer.json");
  const configFile = join(folder, "tokenizer_config.json");
  if (exists(file)) {
    const config = exists(configFile) ? readJson(configFile) : undefined;
    return {
      read: () => readTokenizer(readJson(file), config),
      hasChatTemplate:
        (config as { chat_template?: unknown } | undefined)?.chat_template !== undefined,
    };
  }
  if (metadata === undefined) return undefined;
  return {
    read() {
      const { tokenizerJson, tokenizerConfig } = readGgufTokenizer(
        metadata as Map<string, unknown>,
      );
      return readTokenizer(tokenizerJson, tokenizerConfig);
    },
    hasChatTemplate: metadata.has("tokenizer.chat_template"),
  };
}

/** generation_config.json knows best which ids end a generation; else the model's config. */
function findEosIds({ folder, config }: Source): readonly number[] {
  const file = join(folder, "generation_config.json");
  const generation = exists(file) ? new ConfigReader(file, readJson(file)) : undefined;
  const ids = generation === undefined ? undefined : maybeIds(generation, "eos_token_id");
  return ids ?? maybeIds(config, "eos_token_id") ?? [];
}
