/** Reads answers. The rules are SAEBench's and delphi's, with what a model thought aloud left out before. */

/** Longest explanation that is kept: one that is much longer did not do what was asked, but may still say something. */
const mostCharacters = 300;

/** What stands behind the last "activates on"; undefined for an answer without words. SAEBench `parse_explanation`. */
export function parseExplanation(answer: string): string | undefined {
  const said = withoutThoughts(answer).split("activates on").at(-1) ?? "";
  const text = said.trim().replace(/\.+$/, "").replace(/\s+/g, " ").trim();
  if (text === "") return undefined;
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters - 1).trimEnd()}…` : text;
}

/** The numbers of an answer such as "1, 4 and 7." or "None"; undefined for one with anything else. SAEBench `parse_predictions`. */
export function parsePredictions(answer: string): number[] | undefined {
  const parts = withoutThoughts(answer)
    .trim()
    .replace(/\.+$/, "")
    .replaceAll("and", ",")
    .replaceAll("None", "")
    .split(",")
    .map((it) => it.trim())
    .filter((it) => it !== "");
  if (!parts.every((it) => /^\d+$/.test(it))) return undefined;
  return parts.map(Number);
}

/** The first list in brackets, of as many zeros and ones (or false and true) as asked; else undefined. delphi `Classifier._parse`. */
export function parseMarks(answer: string, count: number): boolean[] | undefined {
  const list = /\[.*?\]/s.exec(withoutThoughts(answer))?.[0];
  if (list === undefined) return undefined;
  try {
    const values = JSON.parse(list.toLowerCase()) as unknown[];
    if (values.length !== count || !values.every(isMark)) return undefined;
    return values.map(Boolean);
  } catch {
    return undefined;
  }
}

function isMark(value: unknown): boolean {
  return value === 0 || value === 1 || typeof value === "boolean";
}

/** Models that think aloud in their answer put it between these marks. */
function withoutThoughts(answer: string): string {
  return answer.replace(/^\s*<think>[\s\S]*?<\/think>/, "");
}
