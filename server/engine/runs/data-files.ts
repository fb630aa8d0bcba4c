/** Texts through a language model: the corpus becomes token windows once, activations are computed when they are needed. */
import { join } from "node:path";
import { exists } from "../../files/disk.ts";
import { sha256OfFile } from "../../files/folders.ts";
import { hashWeights } from "../../files/locations.ts";
import { printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { loadLm } from "../../lm/load.ts";
import type { Device } from "../../runtime/device.ts";
import { TokenWindows } from "../../store/token-windows.ts";
import { ShuffledBuffer } from "../../training/buffer.ts";
import { modelPath } from "../names.ts";
import { buildTokenWindows } from "./corpus.ts";
import { corpusFiles } from "./corpus-files.ts";
import { ctxTooLong, noTokenRows } from "./errors.ts";
import { LmSource } from "./lm-source.ts";
import { SequenceBatches } from "./sequence-batches.ts";
import type { DataReport, RunData } from "./open-data.ts";
import type { FilesConfig } from "./run-config.ts";

/** Name of the file of token windows in a run's folder. */
export const tokensName = "tokens.safetensors";

/** A policy with all that depends on the model decided. */
export interface DecidedFiles extends FilesConfig {
  readonly prependBos: boolean;
  readonly separator: "eos" | "bos" | "none";
}

/** Opens the model and decides the policy. */
export async function openFiles(config: FilesConfig, device: Device): Promise<RunData> {
  const path = modelPath(config.lm);
  const lm = await loadLm(path, device);
  const decided = decide({ ...config, lm: path }, lm);
  return {
    config: decided,
    batchRows: undefined,
    inputs: { lm: hashWeights(path) },
    model: { ...decided, lm },
    hook: (name) => hookOf(lm, name),
    metadata: (hook) => ({
      model_name: lm.id,
      hook_name: hook,
      context_size: decided.ctx,
      prepend_bos: decided.prependBos,
    }),
    async open(hooks, options, { folder, report }) {
      const { windows, key } = await windowsOf(lm, decided, join(folder, tokensName), report);
      const source = new LmSource(lm, windows, hooks, decided);
      const onRead = (share: number): void => report.onProgress("harvesting", share);
      const all = { ...options, onRead };
      const batches = options.sequences
        ? new SequenceBatches(lm, windows, source, all)
        : new ShuffledBuffer(source, all);
      return { batches, tokens: key, bytes: batches.bytes };
    },
    close: () => lm.release(),
  };
}

/** Fills in what the tokenizer decides, and checks what it must have. */
export function decide(config: FilesConfig, lm: LanguageModel): DecidedFiles {
  const { tokenizer } = lm;
  if (config.ctx > lm.config.n_ctx) throw ctxTooLong(lm.id, config.ctx, lm.config.n_ctx);
  const prependBos = config.prependBos ?? (tokenizer.addsBos && tokenizer.bosId !== undefined);
  const separator = config.separator ?? (tokenizer.eosIds.length > 0 ? "eos" : "none");
  return { ...config, prependBos, separator };
}

/** A hook point of the model by its proper name. */
export function hookOf(lm: LanguageModel, name: string | null): { name: string; width: number } {
  const last = lm.config.n_layers - 1;
  const hook = lm.hook(name ?? `blocks.${last >> 1}.hook_resid_post`);
  const width = lm.hookWidth(hook);
  if (width === undefined || hook.kind === "logits") throw noTokenRows(printHookPoint(hook));
  return { name: printHookPoint(hook), width };
}

/** Reads the windows that were made before, or makes them; `key` is the hash of their file. */
export async function windowsOf(
  lm: LanguageModel,
  config: DecidedFiles,
  path: string,
  { signal, onProgress }: DataReport,
): Promise<{ windows: TokenWindows; key: string }> {
  if (exists(path)) return { windows: TokenWindows.read(path), key: sha256OfFile(path) };
  const files = await corpusFiles(config.files, signal);
  const windows = await buildTokenWindows(lm, files, config, {
    signal,
    onProgress({ file, tokens, downloaded }) {
      if (downloaded !== undefined) {
        onProgress("downloading", downloaded, file);
        return;
      }
      const at = files.findIndex(({ name }) => name === file);
      const share = config.maxTokens > 0 ? tokens / config.maxTokens : at / files.length;
      onProgress("reading the corpus", Math.min(1, share), `${tokens} tokens`);
    },
  });
  return { windows, key: windows.write(path) };
}
