/** How often each token of a vocabulary stands in a corpus. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Cache } from "../../files/cache.ts";
import { hashFile, hashWeights } from "../../files/locations.ts";
import { readLines } from "../../files/text-pieces.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Work } from "./word-plan.ts";

/** Counts of tokens by their text (a word with its blank), and how many tokens there are. */
export interface CorpusCounts {
  readonly files: readonly string[];
  readonly tokens: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Characters that are encoded at a time. */
const pieceLength = 2 ** 16;

/** What a corpus is, for keys: the contents of its files. */
export function corpusKey(files: readonly string[]): string {
  return files.map(hashFile).join(" ");
}

/** Counts the tokens of text files (UTF-8, or such a file as .gz), or recalls their counts. */
export async function corpusCounts(
  { path, tokenizer }: Pick<LanguageModel, "path" | "tokenizer">,
  files: readonly string[],
  { cache, ...work }: Work & { cache: Cache },
): Promise<CorpusCounts> {
  const hash = createHash("sha256").update(`${hashWeights(path)} ${corpusKey(files)}`);
  const key = `corpus-${hash.digest("hex")}`;
  const kept = cache.readBytes(key);
  const counts = kept
    ? new Float64Array(kept.buffer, kept.byteOffset, kept.byteLength / 8)
    : new Float64Array(tokenizer.d_vocab);
  if (!kept) {
    for (const file of files) await countFile(file, { tokenizer, counts, work });
    cache.writeBytes(key, new Uint8Array(counts.buffer));
  }
  const byText = new Map<string, number>();
  for (const [id, count] of counts.entries()) {
    if (count === 0) continue;
    const text = tokenizer.tokenText(id);
    byText.set(text, (byText.get(text) ?? 0) + count);
  }
  return {
    files: files.map((file) => basename(file)),
    tokens: counts.reduce((sum, it) => sum + it, 0),
    counts: byText,
  };
}

async function countFile(
  file: string,
  {
    tokenizer,
    counts,
    work,
  }: { tokenizer: LanguageModel["tokenizer"]; counts: Float64Array; work: Work },
): Promise<void> {
  let [text, done] = ["", 0];
  const take = (): void => {
    for (const id of tokenizer.encode(text).ids) counts[id]!++;
    done += text.length;
    text = "";
    work.onProgress(`counting words of ${basename(file)}: ${(done / 1e6).toFixed(1)} MB`, 0);
  };
  for await (const line of readLines(file)) {
    work.signal?.throwIfAborted();
    text += `${line}\n`;
    if (text.length >= pieceLength) take();
  }
  take();
}
