/** Finds out which format an SAE is in and reads everything about it but its matrices' elements. */
import { UserError } from "../base/errors.ts";
import { architectureOf } from "./architectures/index.ts";
import { checkFinite } from "./check-finite.ts";
import type { SaeConfig } from "./config.ts";
import { unknownSaeFormat } from "./errors.ts";
import { Facts, type FactValue } from "./facts.ts";
import { dictionaryLearning } from "./formats/dictionary-learning.ts";
import type { Format, FoundSae } from "./formats/format.ts";
import { gemmaScope, gemmaScope2 } from "./formats/gemma-scope.ts";
import { llamaScope, llamaScopeR1 } from "./formats/llama-scope.ts";
import { saeBench } from "./formats/sae-bench.ts";
import { saeLens } from "./formats/sae-lens.ts";
import { sparsify } from "./formats/sparsify.ts";
import { deepSeekR1, goodfire, openAi, qwenScope } from "./formats/torch-linear.ts";
import { readLabels } from "./labels.ts";
import { type Parameters, readParameters } from "./parameter.ts";
import { SaePlace } from "./place.ts";

/** In the order in which they are asked; the first that matches reads. */
const formats: readonly Format[] = [
  saeLens,
  sparsify,
  saeBench,
  gemmaScope2,
  gemmaScope,
  llamaScope,
  llamaScopeR1,
  dictionaryLearning,
  qwenScope,
  goodfire,
  openAi,
  deepSeekR1,
];

/** An SAE that has been read but not loaded onto a device. */
export interface SaeDescription {
  readonly path: string;
  /** Name of the format. */
  readonly format: string;
  readonly badges: readonly string[];
  /** Labels found beside the weights, by latent. */
  readonly labels: Readonly<Record<number, string>>;
  readonly config: SaeConfig;
  readonly parameters: Parameters;
  /** Closes the weight files; the parameters cannot be read any more. */
  close(): void;
}

/**
 * Reads the SAE at a file or folder. `facts` answer what its format does not store; what is still missing is a
 * `UserError` with code "sae-fact-missing" that lists the keys. Without `pickles` files of that format are refused.
 */
export async function loadSae(
  path: string,
  options: {
    facts?: Readonly<Record<string, FactValue>>;
    pickles?: boolean;
    signal?: AbortSignal;
  } = {},
): Promise<SaeDescription> {
  const facts = new Facts(options.facts ?? {});
  const place = new SaePlace(path, options);
  try {
    const format = formats.find((it) => it.matches(place));
    if (!format) throw unknownSaeFormat(path, place.fileName ? tensorNames(place) : place.names);
    const found = format.read(place, facts);
    const parameters = parametersOf(found);
    await checkFinite(parameters, options.signal);
    const { labels, problems } = readLabels(place.folder, found.config.d_sae);
    return {
      path,
      format: format.name,
      badges: [...(found.config.metaOf ? ["meta-SAE"] : []), ...found.badges, ...problems],
      labels,
      config: found.config,
      parameters,
      close: () => place.close(),
    };
  } catch (error) {
    place.close();
    throw error;
  }
}

/** The architecture's parameters, and the scales that a format adds. */
function parametersOf({ config, located }: FoundSae): Parameters {
  const architecture = architectureOf(config);
  // What reconstructs its own input has as many outputs as inputs; sizes read off the weights may say otherwise.
  const sizes = architecture.restoresNorm ? { ...config, d_out: config.d_in } : config;
  const shapes = { ...architecture.parameters(sizes) };
  for (const name of ["preScale", "decodeScale"]) if (located[name]) shapes[name] = [config.d_sae];
  return readParameters(located, shapes, config.architecture);
}

/** What to show of a weight file whose layout is unknown. */
function tensorNames(place: SaePlace): string[] {
  const name = place.fileName!;
  try {
    return place
      .tensors(name)
      .names()
      .map((key) => `tensor ${key}`);
  } catch (error) {
    // No weight file at all: its name says more than that it could not be read.
    if (error instanceof UserError && !/\.(safetensors|pth?|npz)$/.test(name)) return [name];
    throw error;
  }
}
