/**
 * `index`: builds the latent index of an SAE over a corpus as a run in its folder. One that was stopped or killed goes on
 * where it was. The index lies in `index/` of the folder; `store/latent-index.ts` says what it holds.
 */
import { availableParallelism, totalmem } from "node:os";
import { resolve } from "node:path";
import { isCancelled, UserError } from "../../base/errors.ts";
import { exists, fileSize, isFolder, readText } from "../../files/disk.ts";
import { hashWeights } from "../../files/locations.ts";
import { parseHookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { loadLm } from "../../lm/load.ts";
import type { DeviceName } from "../../protocol/reader.ts";
import { type Device, openDevice } from "../../runtime/device.ts";
import { loadSae, type SaeDescription } from "../../sae/load.ts";
import { openSae } from "../../sae/sae.ts";
import { saeId } from "../../sae/sae-id.ts";
import { writeArrays } from "../../store/index-writer.ts";
import { LatentIndex } from "../../store/index-reader.ts";
import { facets, indexFormat, type IndexManifest } from "../../store/latent-index.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { RunFolder } from "../../training/run-folder.ts";
import { checkAgainstModel } from "../check-against-model.ts";
import { modelPath, saePath } from "../names.ts";
import { corpusFacts, corpusFiles } from "../runs/corpus-files.ts";
import { decide, windowsOf } from "../runs/data-files.ts";
import { metaHasNoCorpus, otherIndex, noIndexRun } from "../runs/errors.ts";
import { specialIds } from "../runs/lm-source.ts";
import type { DataReport } from "../runs/open-data.ts";
import { phaseReport } from "../runs/phase-report.ts";
import { lowerPriority, type RunPriority } from "../runs/priority.ts";
import { buildIndex } from "./build-index.ts";
import { CorpusTokens } from "./corpus-tokens.ts";
import { type IndexConfig, parseIndexConfig, readIndexConfig } from "./index-config.ts";
import { hashOf, IndexFiles } from "./index-files.ts";
import { indexCuts, indexMemory } from "./index-memory.ts";

/** A call of `index`. */
export interface IndexRequest {
  /** Folder of the run. */
  readonly folder: string;
  /** The config of a new run, as a value; absent to start or go on with the folder's own. */
  readonly given?: Readonly<Record<string, unknown>> | undefined;
  readonly device?: "auto" | DeviceName | undefined;
  readonly threads?: number | undefined;
  readonly priority: RunPriority;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** What was built. */
export interface IndexResult {
  readonly folder: string;
  readonly key: string;
  readonly sae: string;
  readonly tokens: number;
  readonly latents: number;
  /** Latents that were active at least once. */
  readonly active: number;
  readonly seconds: number;
  /** It was there already. */
  readonly wasFinished: boolean;
}

/** The folder of an index inside the folder of its run. */
export const indexFolderName = "index";
/** Builds the index, or what is missing of it. */
export async function buildIndexRun(request: IndexRequest): Promise<IndexResult> {
  lowerPriority(request.priority);
  const folder = new RunFolder(resolve(request.folder));
  const config = configOf(folder, request.given);
  folder.claim();
  try {
    const result = await buildIn(folder, config, request);
    folder.end({ state: "finished", ...result });
    return result;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const code = error instanceof UserError ? error.code : "bug";
    folder.end(
      isCancelled(error)
        ? { state: "stopped", reason: { code: "signal", text: "stopped; start it again to go on" } }
        : { state: "failed", reason: { code, text } },
    );
    throw error;
  }
}

/** The folder's config, or the given one, which is written there; a folder with another one is refused. */
function configOf(folder: RunFolder, given: IndexRequest["given"]): IndexConfig {
  if (given === undefined) {
    if (!isFolder(folder.path) || !folder.hasConfig) throw noIndexRun(folder.path);
    return parseIndexConfig(folder.readConfig(), folder.configPath, folder.path);
  }
  const config = readIndexConfig(given, "index", process.cwd());
  const text = `${JSON.stringify(config, undefined, 2)}\n`;
  if (!exists(folder.configPath)) folder.writeConfig(text);
  else if (readText(folder.configPath) !== text) throw otherIndex(folder.path);
  return config;
}

async function buildIn(
  folder: RunFolder,
  config: IndexConfig,
  request: IndexRequest,
): Promise<IndexResult> {
  const started = performance.now();
  const { device } = await openDevice({
    device: request.device ?? config.device ?? "auto",
    threads: request.threads ?? config.threads ?? availableParallelism(),
    memoryBudget: totalmem() * 0.75,
  });
  const path = saePath(config.sae);
  const description = await loadSae(path, { facts: config.facts });
  try {
    const report = phaseReport(folder, request);
    const parts = await openParts({ folder, config, path, description, device, report });
    const { files, manifest, corpus } = parts;
    const wasFinished = files.isFinished;
    if (!wasFinished) {
      const { sizes, memoryMib } = config;
      const memory = memoryMib * 2 ** 20;
      const { d_sae, d_out: d } = description.config;
      const { tokens } = corpus.windows;
      const scale = { d_sae, d_vocab: manifest.d_vocab, d, tokens, sizes };
      const item = { what: "index", bytes: indexMemory(memory, scale) };
      device.ledger.require([item]);
      device.ledger.plan(item.what, item.bytes);
      const sae = await openSae(description, device);
      const cuts = indexCuts(memory, scale);
      await buildIndex({ ...parts, sae, description, device, sizes, cuts, report });
      const written = { files: filesOf(files), parts: partsOf(files) };
      files.finish({ ...manifest, builtAt: new Date().toISOString(), ...written });
    }
    const { summary } = new LatentIndex(files.folder);
    return {
      folder: files.folder,
      key: manifest.key,
      sae: manifest.sae.id,
      tokens: manifest.corpus.tokens,
      latents: summary.count.length,
      active: summary.count.filter((it) => it > 0).length,
      seconds: (performance.now() - started) / 1000,
      wasFinished,
    };
  } finally {
    description.close();
    await device.close();
  }
}

/** Loads the model, cuts the corpus into windows, and decides the key. */
async function openParts(given: {
  folder: RunFolder;
  config: IndexConfig;
  path: string;
  description: SaeDescription;
  device: Device;
  report: DataReport;
}) {
  const { folder, config, path, description, device, report } = given;
  const id = saeId(path, []);
  const { d_sae, metaOf, hook, prependBos } = description.config;
  if (metaOf !== undefined) throw metaHasNoCorpus(id, metaOf);
  const lmPath = modelPath(config.data.lm);
  const lm = await loadLm(lmPath, device);
  checkAgainstModel(description.config, id, lm);
  const bos = { prependBos: config.data.prependBos ?? prependBos };
  const { lm: _lm, files: paths, ...policy } = decide({ ...config.data, ...bos }, lm);
  const hashes = { lm: hashWeights(lmPath), sae: hashWeights(path) };
  const { facts, sizes } = config;
  const inputs = { format: indexFormat, ...hashes, facts, sizes, policy };
  const found = corpusFacts(await corpusFiles(paths, report.signal));
  const files = new IndexFiles(folder.file(indexFolderName), hashOf({ ...inputs, found }));
  const data = { ...policy, lm: lmPath, files: paths };
  const windowsPath = files.path("tokens.safetensors");
  const { windows, key: corpusKey } = await windowsOf(lm, data, windowsPath, report);
  const bytes = fileSize(windowsPath);
  files.addFile("tokens", { file: "tokens.safetensors", bytes, sha256: corpusKey });
  const d_vocab = Math.max(lm.config.d_vocab, lm.tokenizer.d_vocab);
  const vocabulary = writeVocabulary(files, lm, d_vocab);
  const corpus = new CorpusTokens(windows, d_vocab, {
    skipPositions: policy.skipPositions,
    special: policy.skipSpecial ? specialIds(lm) : new Set(),
  });
  const manifest: Omit<IndexManifest, "builtAt" | "files" | "parts"> = {
    format: indexFormat,
    key: hashOf({ ...inputs, tokens: corpusKey, vocabulary }),
    lm: { id: lm.id, path: lmPath, hash: hashes.lm },
    sae: { id, path, hash: hashes.sae, d_sae, hook: printHookPoint(parseHookPoint(hook)) },
    corpus: {
      key: corpusKey,
      windows: windows.count,
      tokens: windows.tokens,
      counted: corpus.counted,
      files: paths,
    },
    d_vocab,
    sizes,
  };
  return { lm, files, corpus, manifest };
}

/** Texts of all tokens, for whoever shows them without a tokenizer; returns the file's hash. */
function writeVocabulary(files: IndexFiles, lm: LanguageModel, d_vocab: number): string {
  const known = files.file("vocabulary");
  if (known) return known.sha256;
  const encoder = new TextEncoder();
  const texts = Array.from({ length: d_vocab }, (_, id) =>
    encoder.encode(lm.tokenizer.tokenText(id)),
  );
  const ends = new Uint32Array(d_vocab);
  for (const [id, text] of texts.entries()) ends[id] = (ends[id - 1] ?? 0) + text.length;
  const bytes = new Uint8Array(ends.at(-1) ?? 0);
  for (const [id, text] of texts.entries()) bytes.set(text, ends[id]! - text.length);
  const arrays = new Map<string, Tensor>([
    ["ends", tensor("uint32", [d_vocab], ends)],
    ["bytes", tensor("uint8", [bytes.length], bytes)],
  ]);
  const file = writeArrays(files.folder, "vocabulary.safetensors", arrays);
  files.addFile("vocabulary", file);
  return file.sha256;
}

function filesOf(files: IndexFiles): IndexManifest["files"] {
  const names = ["summary", "vocabulary", "tokens", "token-latents"] as const;
  const found = names.map((name) => [name, files.file(name)]);
  return Object.fromEntries(found) as unknown as IndexManifest["files"];
}

function partsOf(files: IndexFiles): IndexManifest["parts"] {
  const found = facets.map((facet) => [facet, files.parts(facet)]);
  return Object.fromEntries(found) as unknown as IndexManifest["parts"];
}
