/** Documents to token windows, by an explicit policy for BOS, special tokens and the borders of documents. */
import type { LanguageModel } from "../../lm/language-model.ts";
import { type TokenWindows, TokenWindowsBuilder } from "../../store/token-windows.ts";
import { tokenizeContext } from "../../text/context-tokens.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { CorpusDocument } from "./corpus-document.ts";
import { type CorpusFile, corpusFacts } from "./corpus-files.ts";
import { type DocumentRules, readDocuments } from "./documents.ts";
import { emptyCorpus, noSuchToken } from "./errors.ts";

/** How documents become windows. Every field is decided before a run starts and is written down with it. */
export interface WindowPolicy extends DocumentRules {
  /** Tokens of a window, BOS included. */
  readonly ctx: number;
  /** Every window begins with the tokenizer's BOS. */
  readonly prependBos: boolean;
  /** Documents follow each other in windows, or every window has tokens of one document only. */
  readonly documents: "join" | "split";
  /** What stands between joined documents. */
  readonly separator: "eos" | "bos" | "none";
  /** Text that spells a special token is text, or becomes that token as in Hugging Face's `tokenizer(text)`. */
  readonly specialTokens: "text" | "parse";
  /** Windows that are shorter than this are left out. */
  readonly minTokens: number;
  /** No more tokens than this are taken, in the order of the files; 0 takes all. */
  readonly maxTokens: number;
}

/** How far the reading of a corpus is. */
export interface CorpusProgress {
  readonly file: string;
  /** Share of the file that has been downloaded, while it is. */
  readonly downloaded?: number;
  readonly tokens: number;
  readonly windows: number;
}

/** Tokenises files into windows. */
export async function buildTokenWindows(
  lm: LanguageModel,
  files: readonly CorpusFile[],
  policy: WindowPolicy,
  report: { signal: AbortSignal; onProgress: (progress: CorpusProgress) => void },
): Promise<TokenWindows> {
  const packer = new WindowPacker(lm.tokenizer, lm.config.d_vocab, policy);
  const read: CorpusFile[] = [];
  for (const file of files) {
    if (packer.isFull) break;
    const { name } = file;
    read.push(file);
    const far = { file: name, tokens: packer.tokens, windows: packer.windows };
    const path = await file.open((done, total) =>
      report.onProgress({ ...far, downloaded: total > 0 ? done / total : 1 }),
    );
    for await (const document of readDocuments(path, policy)) {
      report.signal.throwIfAborted();
      if (packer.isFull) break;
      packer.push(document);
      report.onProgress({ file: name, tokens: packer.tokens, windows: packer.windows });
    }
  }
  const names = files.map(({ name }) => name);
  const windows = packer.finish({
    files: corpusFacts(read),
    unread: names.slice(read.length),
    policy,
  });
  if (windows.count === 0) throw emptyCorpus(names, policy.minTokens);
  return windows;
}

/** Cuts a stream of documents into windows. */
class WindowPacker {
  readonly #tokenizer: Tokenizer;
  readonly #policy: WindowPolicy;
  readonly #builder: TokenWindowsBuilder;
  readonly #bos: number | undefined;
  readonly #separator: number | undefined;
  /** Tokens of the window that is being filled, BOS left out. */
  #rest: number[] = [];

  constructor(tokenizer: Tokenizer, d_vocab: number, policy: WindowPolicy) {
    this.#tokenizer = tokenizer;
    this.#policy = policy;
    this.#builder = new TokenWindowsBuilder(Math.max(d_vocab, tokenizer.d_vocab));
    this.#bos = policy.prependBos ? specialId(tokenizer, "bos") : undefined;
    this.#separator =
      policy.separator === "none" || policy.documents === "split"
        ? undefined
        : specialId(tokenizer, policy.separator);
  }

  get tokens(): number {
    return this.#builder.tokens;
  }

  get windows(): number {
    return this.#builder.count;
  }

  get isFull(): boolean {
    const { maxTokens } = this.#policy;
    return maxTokens > 0 && this.tokens >= maxTokens;
  }

  push(document: CorpusDocument): void {
    const { documents } = this.#policy;
    for (const id of this.#encode(document)) this.#rest.push(id);
    this.#cut();
    if ("continues" in document && document.continues) return;
    if (documents === "split") this.#flush();
    else if (this.#separator !== undefined) this.#rest.push(this.#separator);
  }

  finish(facts: Readonly<Record<string, unknown>>): TokenWindows {
    if (!this.isFull) this.#flush();
    return this.#builder.finish(facts);
  }

  #encode(document: CorpusDocument): Int32Array {
    const parseSpecial = this.#policy.specialTokens === "parse";
    if ("text" in document) return this.#tokenizer.encode(document.text, { parseSpecial }).ids;
    const parts = document.messages.map(({ role, content }) => ({
      role,
      text: content,
      fileStart: 0,
    }));
    const context = { kind: "chat", parts } as const;
    return tokenizeContext(this.#tokenizer, context, { prependBos: false }).tokens.ids;
  }

  /** Takes whole windows off the front of what is waiting. */
  #cut(): void {
    const width = this.#policy.ctx - (this.#bos === undefined ? 0 : 1);
    let at = 0;
    for (; this.#rest.length - at >= width && !this.isFull; at += width) {
      this.#window(this.#rest.slice(at, at + width));
    }
    if (at > 0) this.#rest = this.#rest.slice(at);
  }

  /** Makes a short window of what is waiting, if it is long enough. */
  #flush(): void {
    this.#cut();
    if (this.#rest.length >= this.#policy.minTokens && !this.isFull) this.#window(this.#rest);
    this.#rest = [];
  }

  #window(ids: readonly number[]): void {
    // A conversation's template may have put BOS there itself.
    const put = this.#bos !== undefined && ids[0] !== this.#bos;
    this.#builder.push(put ? [this.#bos as number, ...ids] : ids);
  }
}

function specialId(tokenizer: Tokenizer, kind: "bos" | "eos"): number {
  const id = kind === "bos" ? tokenizer.bosId : tokenizer.eosIds[0];
  if (id === undefined) throw noSuchToken(kind);
  return id;
}
