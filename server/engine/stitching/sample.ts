/** Texts through a language model to a hook point, in short sequences. */
import { type Entry, entryOf, type SampleWindow } from "../../analysis/stitching/spliced-loss.ts";
import { type HookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { Stream } from "../../lm/stream.ts";
import { rowsFrom } from "../read-context.ts";
import { corpusFiles } from "../runs/corpus-files.ts";
import { readDocuments } from "../runs/documents.ts";
import { tooLittleText } from "./errors.ts";

/** Tokens of one sequence; short enough for every model and for a quick turn on the device. */
const windowLength = 128;
/** A shorter rest of a document is left out. */
const shortest = 8;

/** What to read. */
export interface SampleChoice {
  readonly files: readonly string[];
  /** Tokens to take, without BOS. */
  readonly tokens: number;
  readonly prependBos: boolean;
}

/** Token sequences of the files' documents, until there are enough. */
export async function sampleIds(
  lm: LanguageModel,
  choice: SampleChoice,
  signal?: AbortSignal,
): Promise<Int32Array[]> {
  const { files, tokens, prependBos } = choice;
  const bos = prependBos ? lm.tokenizer.bosId : undefined;
  const width = Math.min(windowLength, lm.config.n_ctx) - (bos === undefined ? 0 : 1);
  const windows: Int32Array[] = [];
  let taken = 0;
  for (const file of await corpusFiles(files, signal)) {
    const path = await file.open();
    for await (const document of readDocuments(path, {
      textDocuments: "file",
      textField: "text",
      leaveOut: 0,
    })) {
      if (!("text" in document)) continue;
      const { ids } = lm.tokenizer.encode(document.text);
      for (let at = 0; at < ids.length && taken < tokens; at += width) {
        const own = ids.subarray(at, Math.min(at + width, ids.length, at + tokens - taken));
        if (own.length < shortest && windows.length > 0) continue;
        windows.push(bos === undefined ? own.slice() : Int32Array.of(bos, ...own));
        taken += own.length;
      }
      if (taken >= tokens) return windows;
    }
  }
  if (taken < shortest) throw tooLittleText(files);
  return windows;
}

/** Reads one sequence: activations at the hook point, and the residual that the rest of the model goes on from. */
export async function readWindow(
  lm: LanguageModel,
  hook: HookPoint,
  ids: Int32Array,
  signal?: AbortSignal,
): Promise<SampleWindow> {
  const entry: Entry | undefined = entryOf(hook);
  const stream = new Stream(lm);
  try {
    stream.setIds(ids);
    const kept = await stream.read(entry ? [hook, entry.resid] : [hook], signal);
    const x = rowsFrom(kept.get(printHookPoint(hook)), 0);
    if (!entry) return { ids, x };
    return { ids, x, resid: rowsFrom(kept.get(printHookPoint(entry.resid)), 0) };
  } finally {
    stream.dispose();
  }
}
