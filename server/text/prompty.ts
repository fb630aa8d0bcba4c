/**
 * Prompty files (microsoft/prompty): YAML front matter, then messages under lines `system:`, `user:`, `assistant:`. As in
 * Prompty's own parser, text before the first such line is a system message, and contents are trimmed. Template variables
 * (`{{name}}`) are read as they stand.
 */
import type { ContextPart } from "../protocol/context.ts";
import { type ContextsReading, type FileBody, linesOf, partOf } from "./prompt-file.ts";

const roleLine = /^\s*#?\s*(assistant|function|system|user|tool|developer)\s*:\s*$/i;

/** The conversation of a .prompty file's body; none if it is blank. */
export function readPrompty(body: FileBody): ContextsReading {
  const { text } = body;
  const parts: ContextPart[] = [];
  let role = "system";
  let { start } = body;
  let saidSo = false;
  const finish = (end: number): void => {
    const content = text.slice(start, end);
    const core = content.trim();
    const from = start + content.indexOf(core);
    if (core !== "" || saidSo) parts.push(partOf(text, from, from + core.length, role));
  };
  for (const line of linesOf(body)) {
    const match = roleLine.exec(text.slice(line.start, line.end));
    if (!match) continue;
    finish(line.start);
    role = match[1]?.toLowerCase() ?? role;
    saidSo = true;
    start = line.next;
  }
  finish(text.length);
  if (parts.length === 0) return { contexts: [], titles: [], problems: [] };
  return { contexts: [{ kind: "chat", parts }], titles: ["conversation"], problems: [] };
}
