/** What the readers of prompt files share: lines, parts, and the shape of their answer. */
import type { ContextPart, ContextSource } from "../protocol/context.ts";

/** How plain text is divided: the whole file, at `---` lines, at blank lines, or at every line break. */
export type ContextRule = "file" | "blocks" | "paragraphs" | "lines";

/** A problem at an offset of the file. */
export interface FileProblem {
  readonly text: string;
  readonly offset: number;
}

/** Contexts with their titles, and what is wrong with the file. */
export interface ContextsReading {
  readonly contexts: ContextSource[];
  /** What tells a context from the others, where that is known more cheaply than by its parts; one per context. */
  readonly contents?: string[];
  /** One per context: "line 3", "conversation 2", "block 1". */
  readonly titles: string[];
  readonly problems: FileProblem[];
}

/** A file from some offset on. */
export interface FileBody {
  readonly text: string;
  readonly start: number;
}

/** A line of a file; `end` is before its line break, `next` behind it. */
export interface FileLine {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

/** The lines of a file from an offset on. CR LF, LF and CR end a line, as in LSP. */
export function* linesOf({ text, start }: FileBody): Generator<FileLine> {
  const lineBreak = /\r\n|\n|\r/g;
  lineBreak.lastIndex = start;
  let from = start;
  for (let match = lineBreak.exec(text); match; match = lineBreak.exec(text)) {
    yield { start: from, end: match.index, next: lineBreak.lastIndex };
    from = lineBreak.lastIndex;
  }
  if (from < text.length) yield { start: from, end: text.length, next: text.length };
}

/** The part that is text [start, end) of a file. */
export function partOf(text: string, start: number, end: number, role?: string): ContextPart {
  return {
    ...(role === undefined ? {} : { role }),
    text: text.slice(start, end),
    fileStart: start,
  };
}
