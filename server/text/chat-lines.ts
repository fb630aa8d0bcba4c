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

/** Reads a .jsonl file from offset `begin` on. */
export function readChatLines(text: string, begin: number): ContextsReading {
  const contexts: ContextSource[] = [];
  const titles: string[] = [];
  const problems: FileProblem[] = [];
  for (const { start, end } of linesOf({ text, start: begin })) {
    const line = text.slice(start, end);
    if (line.trim() === "") continue;
    const problem = (what: string, offset: number): void => {
      problems.push({ text: `this line is left out: ${what}`, offset: start + offset });
    };
    const context = readLine(line, start, problem);
    if (!context) continue;
    contexts.push(context);
    titles.push(`${context.kind === "chat" ? "conversation" : "text"} ${contexts.length}`);
  }
  return { contexts, titles, problems };
}

type Report = (what: string, offset: number) => void;

const expected = 'expected {"messages": [{"role": "user", "content": "…"}]} or {"text": "…"}';

function readLine(line: string, start: number, report: Report): ContextSource | undefined {
  const errors: ParseError[] = [];
  const root = parseTree(line, errors, { disallowComments: true });
  const [error] = errors;
  if (!root || error) {
    const what = error ? printParseErrorCode(error.error) : "nothing there";
    report(`not JSON (${what})`, error?.offset ?? 0);
    return undefined;
  }
  const messages = findNodeAtLocation(root, ["messages"]);
  const text = findNodeAtLocation(root, ["text"]);
  if (!messages && text?.type === "string")
    return { kind: "plain", parts: [readString(line, text, start)] };
  if (messages?.type !== "array" || !messages.children?.length) {
    report(expected, messages?.offset ?? root.offset);
    return undefined;
  }
  const parts: ContextPart[] = [];
  for (const message of messages.children) {
    const role = findNodeAtLocation(message, ["role"]);
    const content = findNodeAtLocation(message, ["content"]);
    if (role?.type !== "string" || content?.type !== "string") {
      const at = role?.type === "string" ? (content ?? message) : (role ?? message);
      report(
        `a message has no text as ${at === role ? "role" : "role and content"}; ${expected}`,
        at.offset,
      );
      return undefined;
    }
    parts.push({ role: String(role.value), ...readString(line, content, start) });
  }
  return { kind: "chat", parts };
}

/** The string of a JSON node, with the file offset of each of its code units where it has escapes. */
function readString(line: string, node: Node, lineStart: number): ContextPart {
  const first = node.offset + 1;
  const last = node.offset + node.length - 1;
  const text = String(node.value);
  const fileStart = lineStart + first;
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
