/**
 * Files as lists of contexts: which stretches of a prompt file a model reads, each from position 0, and the way from them
 * back to the file. What is not fed to the model (front matter, separators, JSON around contents) is in no part.
 *
 * Offsets are UTF-16 code units of the file as given; CR LF stays as it is, because the model sees it. A byte order mark at
 * the file's start is skipped.
 */
import type { ContextSource } from "../protocol/context.ts";
import { type KnownLines, readChatLines } from "./chat-lines.ts";
import { type FrontMatter, readFrontMatter } from "./front-matter.ts";
import {
  type ContextRule,
  type ContextsReading,
  type FileBody,
  linesOf,
  partOf,
} from "./prompt-file.ts";
import { readPrompty } from "./prompty.ts";

/** The contexts of a file. */
export interface FileContexts extends ContextsReading {
  readonly frontMatter?: FrontMatter;
}

/**
 * Reads a file by its name: chat `.jsonl`, `.prompty`, and everything else as plain text, divided by `rule` unless its front
 * matter says otherwise. `.md` files may have any YAML front matter, other files only one with our key.
 */
export function readContexts(file: {
  readonly name: string;
  readonly text: string;
  readonly rule?: ContextRule;
  /** Lines of a chat file that were read before; brought up to date. */
  readonly known?: KnownLines;
}): FileContexts {
  const name = file.name.toLowerCase();
  const begin = file.text.startsWith("\ufeff") ? 1 : 0;
  if (name.endsWith(".jsonl") || name.endsWith(".ndjson"))
    return readChatLines(file.text, begin, file.known);
  const prompty = name.endsWith(".prompty");
  const anyFrontMatter = prompty || name.endsWith(".md");
  const { frontMatter, problems, bodyStart } = readFrontMatter(file.text, begin, anyFrontMatter);
  const body = { text: file.text, start: bodyStart };
  const read = prompty
    ? readPrompty(body)
    : readPlain(body, frontMatter?.contexts ?? file.rule ?? "file");
  return {
    contexts: read.contexts,
    titles: read.titles,
    problems: [...problems, ...read.problems],
    ...(frontMatter ? { frontMatter } : {}),
  };
}

/** The file offset of an offset in a part's text, which may be the text's end; through JSON escapes. */
export function fileOffset(context: ContextSource, part: number, offset: number): number {
  const at = context.parts[part];
  if (!at) return 0;
  return at.fileStart + (at.fileOffsets?.[offset] ?? offset);
}

function readPlain(body: FileBody, rule: ContextRule): ContextsReading {
  const stretches = rule === "file" ? wholeFile(body) : divided(body, rule);
  return {
    contexts: stretches.map(({ start, end }) => ({
      kind: "plain",
      parts: [partOf(body.text, start, end)],
    })),
    titles: stretches.map(({ title }) => title),
    problems: [],
  };
}

interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly title: string;
}

/** All of the body as it stands, its last line break included; nothing for an empty file. */
function wholeFile({ text, start }: FileBody): Stretch[] {
  return start < text.length ? [{ start, end: text.length, title: "whole file" }] : [];
}

/**
 * Lines, paragraphs or blocks. Blank lines around a paragraph or block and its last line break are not part of it;
 * blank ones are no contexts. Blocks and paragraphs are counted, lines have the number that editors show.
 */
function divided(body: FileBody, rule: "blocks" | "paragraphs" | "lines"): Stretch[] {
  const stretches: Stretch[] = [];
  const unit = { blocks: "block", paragraphs: "paragraph", lines: "line" }[rule];
  let start = -1;
  let end = -1;
  let number = lineNumber(body) - 1;
  const finish = (): void => {
    const shown = rule === "lines" ? number : stretches.length + 1;
    if (start >= 0) stretches.push({ start, end, title: `${unit} ${shown}` });
    start = -1;
  };
  for (const line of linesOf(body)) {
    number++;
    const text = body.text.slice(line.start, line.end);
    const blank = text.trim() === "";
    const separates = rule === "blocks" ? /^---+\s*$/.test(text) : blank;
    if (separates) finish();
    else if (!blank) {
      if (start < 0) ({ start } = line);
      ({ end } = line);
      if (rule === "lines") finish();
    }
  }
  finish();
  return stretches;
}

/** The 1-based number of the line that the body starts on. */
function lineNumber({ text, start }: FileBody): number {
  return 1 + (text.slice(0, start).match(/\r\n|\n|\r/g)?.length ?? 0);
}
