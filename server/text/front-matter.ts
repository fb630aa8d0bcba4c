/** YAML front matter of prompt files: what it says to us, with places, and where the text for the model begins. */
import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document, type Pair } from "yaml";
import type { ContextRule, FileProblem } from "./prompt-file.ts";

/** The keys under `latent-workbench:`. */
export interface FrontMatter {
  /** Whether our key is there, whatever stands under it: the file wants to be read. */
  readonly asked: boolean;
  readonly lm?: string;
  readonly saes?: readonly string[];
  readonly contexts?: ContextRule;
  /** Where each key stands in the file, for diagnostics. */
  readonly offsets: Readonly<Record<string, number>>;
  /** From the first `---` to behind the closing one. */
  readonly start: number;
  readonly end: number;
}

/** Front matter as read, or none. */
export interface FrontMatterReading {
  readonly frontMatter?: FrontMatter;
  readonly problems: FileProblem[];
  /** Where the text for the model begins: the first line after front matter that is not blank. */
  readonly bodyStart: number;
}

const key = "latent-workbench";
const rules: readonly string[] = ["file", "blocks", "paragraphs", "lines"];

/**
 * Reads the front matter at `begin`. With `any`, every YAML map between `---` lines is front matter; without, only one that
 * has our key, so that text files that begin with a `---` line stay whole.
 */
export function readFrontMatter(text: string, begin: number, any: boolean): FrontMatterReading {
  const fence = findFence(text, begin);
  const none = { problems: [], bodyStart: begin };
  if (!fence) return none;
  const source = text.slice(fence.start, fence.end);
  if (!any && !source.includes(key)) return none;
  const document = parseDocument(source, { lineCounter: new LineCounter(), prettyErrors: false });
  const { contents } = document;
  if (document.errors.length === 0 && contents !== null && !isMap(contents)) return none;
  const problems = document.errors.map((error) => ({
    text: `front matter is not YAML: ${error.message}`,
    offset: fence.start + error.pos[0],
  }));
  const settings = readSettings(document, fence.start, problems);
  return {
    frontMatter: { ...settings, start: begin, end: fence.after },
    problems,
    bodyStart: afterBlankLines(text, fence.after),
  };
}

/** Front matter between a `---` line at `begin` and the next `---` or `...` line. */
function findFence(
  text: string,
  begin: number,
): { start: number; end: number; after: number } | undefined {
  const open = /---[ \t]*(?:\r\n|\n|\r)/y;
  open.lastIndex = begin;
  if (!open.test(text)) return undefined;
  const start = open.lastIndex;
  const close = /^(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|$(?![\s\S]))/gm;
  close.lastIndex = start;
  const match = close.exec(text);
  return match ? { start, end: match.index, after: close.lastIndex } : undefined;
}

function afterBlankLines(text: string, from: number): number {
  const blank = /(?:[ \t]*(?:\r\n|\n|\r))*/y;
  blank.lastIndex = from;
  blank.test(text);
  return blank.lastIndex;
}

function readSettings(
  document: Document.Parsed,
  base: number,
  problems: FileProblem[],
): Omit<FrontMatter, "start" | "end"> {
  const ours = document.get(key, true);
  const offsets: Record<string, number> = {};
  const asked = document.has(key);
  if (ours === undefined || ours === null || (isScalar(ours) && ours.value === null))
    return { asked, offsets };
  if (!isMap(ours)) {
    problems.push({ text: `${key} must be a map with lm, saes, contexts`, offset: base });
    return { asked, offsets };
  }
  const settings: { lm?: string; saes?: string[]; contexts?: ContextRule } = {};
  for (const pair of ours.items as Pair[]) {
    const offset = base + offsetOf(pair.key);
    const name = isScalar(pair.key) ? String(pair.key.value) : "";
    const values = isSeq(pair.value) ? pair.value.items : [pair.value];
    const texts = values.flatMap((each) =>
      isScalar(each) && typeof each.value === "string" ? [each.value] : [],
    );
    offsets[name] = offset;
    const [first] = texts;
    if (texts.length < values.length || first === undefined)
      problems.push({ text: `${key}: ${name} must be text`, offset });
    else if (name === "lm") settings.lm = first;
    else if (name === "sae" || name === "saes") settings.saes = texts;
    else if (name === "contexts" && rules.includes(first)) settings.contexts = first as ContextRule;
    else if (name === "contexts")
      problems.push({
        text: `${key}: contexts is ${first}; it can be ${rules.join(", ")}`,
        offset,
      });
    else
      problems.push({ text: `${key}: unknown key ${name}; known are lm, saes, contexts`, offset });
  }
  return { asked, ...settings, offsets };
}

function offsetOf(node: unknown): number {
  return isScalar(node) && node.range ? node.range[0] : 0;
}
