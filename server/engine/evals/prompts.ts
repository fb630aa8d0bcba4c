/** The prompts of an evaluation: token ids from a file, or texts cut into windows as the SAE was trained on them. */
import { UserError } from "../../base/errors.ts";
import { readSafetensors, readSafetensorsHeader } from "../../encoding/safetensors.ts";
import { readBytes } from "../../files/disk.ts";
import { inFile } from "../../files/errors.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { SaeConfig } from "../../sae/config.ts";
import { isTokenWindows, TokenWindows } from "../../store/token-windows.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { buildTokenWindows } from "../runs/corpus.ts";
import { decide } from "../runs/data-files.ts";
import { corpusFiles } from "../runs/corpus-files.ts";
import { parseFilesConfig } from "../runs/run-config.ts";

/** Tokens of a window where the SAE does not say. */
const defaultWindow = 128;
/** Tokens that are taken of texts if nothing else is said. */
const defaultTokens = 2 ** 15;

/** What the prompts are made of. */
export type PromptSource =
  | { readonly kind: "tokens"; readonly file: string }
  | {
      readonly kind: "files";
      readonly files: readonly string[];
      /** Further keys of `data` in a run file. */
      readonly policy: Readonly<Record<string, unknown>>;
    };

/** What happens meanwhile. */
export interface PromptReport {
  readonly signal: AbortSignal;
  readonly onProgress: (phase: string, share: number) => void;
}

/** Prompts as token ids, and their source in words. */
export async function readPrompts(
  source: PromptSource,
  lm: LanguageModel,
  sae: SaeConfig,
  report: PromptReport,
): Promise<{ prompts: Int32Array[]; dataset: string }> {
  if (source.kind === "tokens") {
    return { prompts: tokensOf(source.file, lm), dataset: source.file };
  }
  const ctx = Math.min(sae.n_ctx ?? defaultWindow, lm.config.n_ctx);
  const given = {
    ctx,
    prependBos: sae.prependBos,
    maxTokens: defaultTokens,
    ...source.policy,
    kind: "files",
    lm: lm.path,
    files: source.files,
  };
  const policy = decide(parseFilesConfig(given, "evaluate", process.cwd()), lm);
  const files = await corpusFiles(policy.files, report.signal);
  const windows = await buildTokenWindows(lm, files, policy, {
    signal: report.signal,
    onProgress({ file, tokens, downloaded }) {
      const share = policy.maxTokens > 0 ? Math.min(1, tokens / policy.maxTokens) : 0;
      if (downloaded === undefined) report.onProgress("reading the texts", share);
      else report.onProgress(`downloading ${file}`, downloaded);
    },
  });
  return { prompts: windowsOf(windows), dataset: source.files.join(", ") };
}

function tokensOf(file: string, lm: LanguageModel): Int32Array[] {
  const bytes = readBytes(file);
  const { metadata } = inFile(file, () => readSafetensorsHeader(bytes));
  const prompts = isTokenWindows(metadata)
    ? windowsOf(TokenWindows.read(file))
    : rowsOf(
        file,
        inFile(file, () => readSafetensors(bytes)),
      );
  for (const ids of prompts) {
    const wrong = ids.find((id) => id < 0 || id >= lm.config.d_vocab);
    if (wrong === undefined) continue;
    const text = `${file} has the token ${wrong}, but the vocabulary of ${lm.id} ends at ${lm.config.d_vocab - 1}: these tokens belong to another model`;
    throw new UserError("bad-id", text);
  }
  return prompts;
}

function windowsOf(windows: TokenWindows): Int32Array[] {
  return Array.from({ length: windows.count }, (_, at) => windows.window(at));
}

function rowsOf(file: string, tensors: ReadonlyMap<string, Tensor>): Int32Array[] {
  const found = tensors.size === 1 ? [...tensors.values()][0] : tensors.get("tokens");
  const [nRows = 0, width = 0] = found?.dims ?? [];
  if (found?.dims.length !== 2 || !/^u?int(16|32|64)$/.test(found.dtype) || nRows * width === 0) {
    const there = [...tensors].map(([name, { dtype, dims }]) => `${name} ${dtype}[${dims.join()}]`);
    const text = `${file} has no prompts: expected one tensor of whole numbers [prompts, tokens], or one called "tokens"; found ${there.join(", ") || "nothing"}`;
    throw new UserError("no-prompts", text);
  }
  const ids = Int32Array.from(found.data as ArrayLike<number | bigint>, Number);
  return Array.from({ length: nRows }, (_, row) => ids.slice(row * width, (row + 1) * width));
}
