/** A corpus on disk as documents: text files (also `.gz`), JSON Lines with texts or conversations; folders of them. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { exists, fileSize, isFolder, listFiles } from "../../files/disk.ts";
import { readLines, readTextPieces } from "../../files/text-pieces.ts";
import { badCorpusLine, missingCorpus, noCorpusFiles, unknownCorpusFile } from "./errors.ts";

/** One document: a text, cut into pieces that may be tokenised one by one, or a conversation. */
export type CorpusDocument =
  | { readonly text: string; readonly continues: boolean }
  | { readonly messages: readonly { readonly role: string; readonly content: string }[] };

/** How files are divided into documents. */
export interface DocumentRules {
  /** A text file is one document, or every stretch between empty lines, or every line. */
  readonly textDocuments: "file" | "blank-lines" | "lines";
  /** Key of a JSON line that holds its text. */
  readonly textField: string;
  /** Leaves out every document whose sha1 is divisible by this, for validation; 0 leaves out none. */
  readonly leaveOut: number;
}

/** A long text is tokenised in pieces of about so many characters, cut after a line's end where there is one. */
const pieceCharacters = 2 ** 16;

const endings = /\.(txt|md|text|jsonl|ndjson)(\.gz)?$/i;

/** The files of a corpus in the order given; folders stand for their text files, sorted by path. */
export function corpusFiles(paths: readonly string[]): string[] {
  const files = paths.flatMap((path) => {
    if (!exists(path)) throw missingCorpus(path);
    if (!isFolder(path)) return [path];
    const found = listFiles(path).filter((file) => endings.test(file));
    if (found.length === 0) throw noCorpusFiles(path);
    return found.map((file) => join(path, file));
  });
  for (const file of files) if (!endings.test(file)) throw unknownCorpusFile(file);
  return files;
}

/** Names and sizes of a corpus's files: enough to see that another one is meant. */
export function corpusFacts(files: readonly string[]): { path: string; bytes: number }[] {
  return files.map((path) => ({ path, bytes: fileSize(path) }));
}

/** The documents of a file. A piece of a text that goes on says so. */
export async function* readDocuments(
  file: string,
  rules: DocumentRules,
): AsyncGenerator<CorpusDocument> {
  if (/\.(jsonl|ndjson)(\.gz)?$/i.test(file)) yield* readJsonLines(file, rules);
  else if (rules.textDocuments === "file") yield* readWhole(file);
  else yield* readDivided(file, rules);
}

async function* readWhole(file: string): AsyncGenerator<CorpusDocument> {
  let rest = "";
  for await (const piece of readTextPieces(file)) {
    rest += piece;
    while (rest.length > pieceCharacters) {
      const cut = cutAt(rest);
      yield { text: rest.slice(0, cut), continues: true };
      rest = rest.slice(cut);
    }
  }
  yield { text: rest, continues: false };
}

/** After the last line's end in the first piece; never inside a surrogate pair. */
function cutAt(text: string): number {
  const line = text.lastIndexOf("\n", pieceCharacters) + 1;
  if (line > 0) return line;
  const code = text.charCodeAt(pieceCharacters - 1);
  return code >= 0xd800 && code < 0xdc00 ? pieceCharacters + 1 : pieceCharacters;
}

async function* readDivided(file: string, rules: DocumentRules): AsyncGenerator<CorpusDocument> {
  let lines: string[] = [];
  const finish = function* (): Generator<CorpusDocument> {
    const text = lines.join("\n");
    if (lines.length > 0 && isKept(text, rules)) yield { text, continues: false };
    lines = [];
  };
  for await (const line of readLines(file)) {
    if (line.trim() === "") yield* finish();
    else {
      lines.push(line);
      if (rules.textDocuments === "lines") yield* finish();
    }
  }
  yield* finish();
}

async function* readJsonLines(file: string, rules: DocumentRules): AsyncGenerator<CorpusDocument> {
  let number = 0;
  for await (const line of readLines(file)) {
    number++;
    if (line.trim() === "") continue;
    const document = readJsonLine(line, rules.textField);
    if (typeof document === "string") throw badCorpusLine(file, number, document);
    if (isKept(line, rules)) yield document;
  }
}

/** The document of a line, or what is wrong with it. */
function readJsonLine(line: string, field: string): CorpusDocument | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "it is not JSON";
  }
  const entry = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const text = typeof value === "string" ? value : entry[field];
  if (typeof text === "string") return { text, continues: false };
  const messages = entry["messages"] ?? entry["conversations"];
  if (Array.isArray(messages) && messages.every(isMessage)) return { messages };
  const keys = Object.keys(entry).join(", ") || "none";
  return `expected a text under "${field}" or messages with role and content, found the keys ${keys}`;
}

function isMessage(value: unknown): value is { role: string; content: string } {
  const message = value as { role?: unknown; content?: unknown } | null;
  return typeof message?.role === "string" && typeof message.content === "string";
}

function isKept(text: string, { leaveOut }: DocumentRules): boolean {
  if (leaveOut === 0) return true;
  const hash = createHash("sha1").update(text).digest();
  return hash.readUInt32BE(0) % leaveOut !== 0;
}
