/**
 * JSON Lines: one conversation `{"messages": [{"role", "content"}]}` per line, or one text `{"text": "…"}`. Contents
 * keep their way back to the file through JSON's escapes. A bad line is a problem; the others are read.
 */
import {
  type Node,
  type ParseError,
  findNodeAtLocation,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import type { ContextPart, ContextSource } from "../protocol/context.ts";
import { type ContextsReading, type FileProblem, linesOf } from "./prompt-file.ts";

/** What a line is, with offsets from its own start: a context, or why it is none. */
type LineReading = Pick<ContextSource, "kind" | "parts"> | FileProblem;

/** Lines that were read before, by their text, so that an edit of a large file costs its own line. */
export type KnownLines = Map<string, LineReading>;

/**
 * Reads a .jsonl file from offset `begin` on. `known` is what was read of the version before; afterwards it holds the
 * lines of this one.
 */
export function readChatLines(
  text: string,
  begin: number,
  known: KnownLines = new Map(),
): ContextsReading {
  const before = new Map(known);
  known.clear();
  const contexts: ContextSource[] = [];
  const contents: string[] = [];
  const titles: string[] = [];
  const problems: FileProblem[] = [];
  for (const { start, end } of linesOf({ text, start: begin })) {
    const line = text.slice(start, end);
    if (line.trim() === "") continue;
    const read = before.get(line) ?? readLine(detached(line));
    known.set(line, read);
    if (!("parts" in read)) {
      problems.push({ text: `this line is left out: ${read.text}`, offset: start + read.offset });
      continue;
    }
    const { kind, parts } = read;
    contexts.push({
      kind,
      parts: parts.map((part) => ({ ...part, fileStart: start + part.fileStart })),
    });
    contents.push(line);
    titles.push(`${kind === "chat" ? "conversation" : "text"} ${contexts.length}`);
  }
  return { contexts, contents, titles, problems };
}

const expected = 'expected {"messages": [{"role": "user", "content": "…"}]} or {"text": "…"}';

/**
 * A copy of a line. A slice would keep the whole text of this version in memory for as long as the line stays as it
 * is, and each version edited so would keep its own.
 */
function detached(line: string): string {
  return `\n${line}`.slice(1);
}

function readLine(line: string): LineReading {
  const errors: ParseError[] = [];
  const root = parseTree(line, errors, { disallowComments: true });
  const [error] = errors;
  if (!root || error) {
    const what = error ? printParseErrorCode(error.error) : "nothing there";
    return { text: `not JSON (${what})`, offset: error?.offset ?? 0 };
  }
  const messages = findNodeAtLocation(root, ["messages"]);
  const text = findNodeAtLocation(root, ["text"]);
  if (!messages && text?.type === "string")
    return { kind: "plain", parts: [readString(line, text)] };
  if (messages?.type !== "array" || !messages.children?.length) {
    return { text: expected, offset: messages?.offset ?? root.offset };
  }
  const parts: ContextPart[] = [];
  for (const message of messages.children) {
    const role = findNodeAtLocation(message, ["role"]);
    const content = findNodeAtLocation(message, ["content"]);
    if (role?.type !== "string" || content?.type !== "string") {
      const at = role?.type === "string" ? (content ?? message) : (role ?? message);
      const missing = at === role ? "role" : "role and content";
      return { text: `a message has no text as ${missing}; ${expected}`, offset: at.offset };
    }
    parts.push({ role: String(role.value), ...readString(line, content) });
  }
  return { kind: "chat", parts };
}

/** The string of a JSON node, with the offset in the line of each of its code units where it has escapes. */
function readString(line: string, node: Node): ContextPart {
  const first = node.offset + 1;
  const last = node.offset + node.length - 1;
  const text = String(node.value);
  const fileStart = first;
  if (text.length === last - first) return { text, fileStart };
  const fileOffsets = new Int32Array(text.length + 1);
  let unit = 0;
  for (let at = first; at < last; unit++) {
    fileOffsets[unit] = at - first;
    at += line[at] !== "\\" ? 1 : line[at + 1] === "u" ? 6 : 2;
  }
  fileOffsets[unit] = last - first;
  return { text, fileStart, fileOffsets };
}
