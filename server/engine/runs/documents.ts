/** A file of a corpus as documents: text (also `.gz`), JSON Lines or Parquet with texts or conversations. */
import { createHash } from "node:crypto";
import { readLines, readTextPieces } from "../../files/text-pieces.ts";
import { type CorpusDocument, isMessage } from "./corpus-document.ts";
import { badCorpusLine } from "./errors.ts";
import { readParquetDocuments } from "./parquet-documents.ts";

/** How files are divided into documents. */
export interface DocumentRules {
  /** A text file is one document, or every stretch between empty lines, or every line. */
  readonly textDocuments: "file" | "blank-lines" | "lines";
  /** Key of a JSON line, or column of a Parquet file, that holds its text. */
  readonly textField: string;
  /** Leaves out every document whose sha1 is divisible by this, for validation; 0 leaves out none. */
  readonly leaveOut: number;
}

/** A long text is tokenised in pieces of about so many characters, cut after a line's end where there is one. */
const pieceCharacters = 2 ** 16;

/** The documents of a file. A piece of a text that goes on says so. */
export async function* readDocuments(
  file: string,
  rules: DocumentRules,
): AsyncGenerator<CorpusDocument> {
  if (/\.(jsonl|ndjson)(\.gz)?$/i.test(file)) yield* readJsonLines(file, rules);
  else if (/\.parquet$/i.test(file)) yield* readRows(file, rules);
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

async function* readRows(file: string, rules: DocumentRules): AsyncGenerator<CorpusDocument> {
  for await (const { document, key } of readParquetDocuments(file, rules.textField)) {
    if (isKept(key, rules)) yield document;
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

function isKept(text: string, { leaveOut }: DocumentRules): boolean {
  if (leaveOut === 0) return true;
  const hash = createHash("sha1").update(text).digest();
  return hash.readUInt32BE(0) % leaveOut !== 0;
}
