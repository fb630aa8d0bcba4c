/**
 * Open documents and their contexts. A context whose text did not change keeps its reading, wherever an edit
 * moved it, because ranges are counted from the context's own parts.
 */
import { type ContextSource } from "../protocol/context.ts";
import type { ContextReading, PredictionReading } from "../protocol/reader.ts";
import type { KnownLines } from "../text/chat-lines.ts";
import { readContexts } from "../text/contexts.ts";
import type { ContextRule } from "./settings.ts";

/** The front matter keys that concern us. */
export interface DocumentChoice {
  readonly lm?: string;
  readonly saes?: readonly string[];
}

/** One context of a document with what has been read of it. */
export interface ContextState {
  source: ContextSource;
  title: string;
  /** The same for contexts of the same text, wherever they stand. */
  content: string;
  /** Names the stream in the reader; survives edits, so that the KV prefix is reused. */
  readonly slot: number;
  /** Readings by group of SAEs; replaced whenever the text changes. */
  readonly readings: Map<string, PendingReading>;
  predictions?: Promise<PredictionReading>;
}

/** A reading that is under way or done. */
export interface PendingReading {
  readonly promise: Promise<ContextReading>;
  readonly controller: AbortController;
  value?: ContextReading;
}

/** A document as of its newest version. */
export class OpenDocument {
  readonly uri: string;
  version = -1;
  text = "";
  contexts: ContextState[] = [];
  choice: DocumentChoice = {};
  asksToBeRead = false;
  problems: { text: string; offset: number }[] = [];
  /** Set by the user for this file; undefined: by the settings' patterns. */
  switchedOn: boolean | undefined;
  /** What is selected in the editor; an edit clears it. */
  selection: { startOffset: number; endOffset: number } | undefined;
  /** Why the last analysis failed. */
  failure: string | undefined;
  #slots = 0;
  readonly #lines: KnownLines = new Map();

  constructor(uri: string) {
    this.uri = uri;
  }

  /** Takes a new version of the text; readings of contexts that are gone are cancelled. */
  update(version: number, text: string, rule: ContextRule): void {
    const { contexts, contents, titles, frontMatter, problems } = readContexts({
      name: fileName(this.uri),
      text,
      rule,
      known: this.#lines,
    });
    const before = this.contexts;
    const byContent = new Map(before.map((state) => [state.content, state]));
    const kept = new Set<ContextState>();
    const content = contents ?? contexts.map(contentOf);
    const states: (ContextState | undefined)[] = contexts.map((source, index) => {
      const same = byContent.get(content[index] ?? "");
      if (!same || kept.has(same)) return undefined;
      kept.add(same);
      same.source = source;
      // Equal, but a slice of the present text: the old one would keep its version in memory.
      same.content = content[index] ?? "";
      same.title = titles[index] ?? "";
      return same;
    });
    const free = before.filter((state) => !kept.has(state));
    for (const state of free) cancelReadings(state);
    this.contexts = states.map((state, index) => {
      if (state) return state;
      // The context at this index before, if it is gone, was most likely edited into this one.
      const at = before[index];
      const reuse = at && free.includes(at) ? at : free.at(-1);
      if (reuse) free.splice(free.indexOf(reuse), 1);
      return {
        source: contexts[index] as ContextSource,
        title: titles[index] ?? "",
        content: content[index] ?? "",
        slot: reuse?.slot ?? this.#slots++,
        readings: new Map(),
      };
    });
    if (text !== this.text) this.selection = undefined;
    this.version = version;
    this.text = text;
    this.problems = [...problems];
    this.asksToBeRead = frontMatter?.asked === true;
    this.choice = frontMatter ?? {};
  }

  /** Forgets all readings, for another model or another reader. */
  forgetReadings(): void {
    for (const state of this.contexts) cancelReadings(state);
  }

  /** Prefix of all stream names of this document. */
  get streamPrefix(): string {
    return `${this.uri}#`;
  }
}

function cancelReadings(state: ContextState): void {
  for (const { controller } of state.readings.values()) controller.abort();
  state.readings.clear();
  delete state.predictions;
}

function contentOf(source: ContextSource): string {
  const [only] = source.parts;
  if (source.kind === "plain" && source.parts.length === 1) return only?.text ?? "";
  return JSON.stringify(source.parts.map((part) => [part.role, part.text]));
}

function fileName(uri: string): string {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1));
}
