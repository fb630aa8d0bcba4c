/** Places in a document where a latent fires or words with a label stand, each with its line. */
import { basename, isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Occurrence, SoughtPlaces } from "../protocol/occurrences.ts";
import type { ContextReading } from "../protocol/reader.ts";
import { LineStarts } from "../text/line-starts.ts";
import type { ContextState, OpenDocument } from "./documents.ts";
import { absorberOf, judgedIn, type JudgedWord } from "./judged-words.ts";
import { tokenRange } from "./positions.ts";
import { latentsAt } from "./token-card.ts";
import type { Workbench } from "./workbench.ts";

/** Characters of a line that are shown beside a place. */
const lineWidth = 60;

/** Places of one document that is read by the SAE; waits for its readings. */
export async function placesIn(
  document: OpenDocument,
  {
    workbench,
    sae,
    sought,
    signal,
  }: {
    readonly workbench: Workbench;
    readonly sae: string;
    readonly sought: SoughtPlaces;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Occurrence[]> {
  const lines = new LineStarts(document.text);
  const name = nameOf(workbench, document.uri);
  const places: Occurrence[] = [];
  for (const [index] of document.contexts.entries()) {
    const { state, reading } = await workbench.reading(document, index, sae, signal);
    const judged = judgedIn(state, reading, sae);
    for (const it of soughtIn({ state, reading, judged }, sae, sought))
      places.push({ uri: document.uri, name, ...around(document.text, lines, it), ...it });
  }
  return places;
}

type Place = Pick<Occurrence, "startOffset" | "endOffset" | "act" | "verdict">;

function soughtIn(
  {
    state,
    reading,
    judged,
  }: { state: ContextState; reading: ContextReading; judged: JudgedWord[] },
  sae: string,
  sought: SoughtPlaces,
): Place[] {
  if (sought.kind !== "latent")
    return judged
      .filter(({ verdict, text }) =>
        sought.kind === "label"
          ? isSought(sought, verdict, text)
          : takesPart(sought.latent, verdict),
      )
      .map(({ verdict, startOffset, endOffset }) => ({ verdict, startOffset, endOffset }));
  const places: Place[] = [];
  for (let token = 0; token < reading.tokens.ids.length; token++) {
    const found = latentsAt(reading, sae, token).find((it) => it.latent === sought.latent);
    const range = found && tokenRange(state.source, reading.tokens, token);
    if (!found || !range || range.endOffset === range.startOffset) continue;
    const verdict = judged.find((it) => it.verdict.token === token)?.verdict;
    places.push({ ...range, act: found.activation, ...(verdict ? { verdict } : {}) });
  }
  return places;
}

function isSought(
  { task, setting, label, word }: Extract<SoughtPlaces, { kind: "label" }>,
  verdict: JudgedWord["verdict"],
  text: string,
): boolean {
  return (
    verdict.task === task &&
    verdict.setting === setting &&
    verdict.label === label &&
    (word === undefined || text.trim() === word.trim())
  );
}

/** Whether a latent was absorbed at a word, or absorbed another one there. */
function takesPart(latent: number, verdict: JudgedWord["verdict"]): boolean {
  const isMain = verdict.main?.some((it) => it.latent === latent) === true;
  return verdict.verdict === "absorbed" && (isMain || absorberOf(verdict) === latent);
}

/** The line of a place, cut around it. */
function around(
  text: string,
  lines: LineStarts,
  { startOffset, endOffset }: Place,
): Pick<Occurrence, "line" | "text" | "before" | "after"> {
  const { line } = lines.position(startOffset);
  const start = Math.max(lines.startOf(line), startOffset - lineWidth);
  const end = Math.max(endOffset, Math.min(lines.startOf(line + 1), endOffset + lineWidth));
  return {
    line,
    text: text.slice(startOffset, endOffset),
    before: text.slice(start, startOffset),
    after: text.slice(endOffset, end).trimEnd(),
  };
}

/** Path of a file on disk; the uri of others. */
export function pathOf(uri: string): string {
  return uri.startsWith("file:") ? fileURLToPath(uri) : uri;
}

/** Path in the workspace folder; of other files the last part. */
export function nameOf({ options }: Workbench, uri: string): string {
  if (!uri.startsWith("file:")) return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1));
  const path = pathOf(uri);
  const inside = options.workspaceFolders
    .map((folder) => relative(folder, path))
    .find((it) => !it.startsWith("..") && !isAbsolute(it));
  return (inside ?? basename(path)).replaceAll("\\", "/");
}
