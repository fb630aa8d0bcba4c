/** A run file from anywhere as the run file of a new run's folder: the same text, with its relative paths made absolute. */
import { applyEdits, type JSONPath, modify, parse } from "jsonc-parser";
import { isAbsolute, join } from "node:path";
import { exists } from "../files/disk.ts";

/** The text with every path, seen from `folder`, absolute. */
export function withAbsolutePaths(text: string, folder: string): string {
  const run = parse(text, [], { allowTrailingComma: true }) as unknown;
  let changed = text;
  for (const at of pathsIn(run)) {
    const path = valueAt(run, at);
    if (typeof path !== "string" || isAbsolute(path)) continue;
    const mayBeHubId = ["lm", "sae"].includes(String(at.at(-1)));
    if (mayBeHubId && isHubId(path) && !exists(join(folder, path))) continue;
    const options = { formattingOptions: { insertSpaces: true, tabSize: 2 } };
    changed = applyEdits(changed, modify(changed, at, join(folder, path), options));
  }
  // Of a run that was started elsewhere only the recipe is taken over, not where and with what it ran.
  for (const key of ["environment", "inputs", "differences"]) {
    if (valueAt(run, [key]) !== undefined)
      changed = applyEdits(changed, modify(changed, [key], undefined, {}));
  }
  return changed;
}

/** Where a run file has paths. */
function pathsIn(run: unknown): JSONPath[] {
  const lists = (at: JSONPath): JSONPath[] => {
    const list = valueAt(run, at);
    return Array.isArray(list) ? list.map((_, index) => [...at, index]) : [];
  };
  const saes: JSONPath[] = [["sae"], ...lists(["saes"])];
  return [
    ...["lm", "sae", "folder", "file"].map((key) => ["data", key]),
    ...lists(["data", "files"]),
    ...saes.flatMap((sae) => ["file", "sae"].map((key) => [...sae, "init", key])),
    ...saes.map((sae) => [...sae, "task"]),
  ];
}

/** `org/name`: what begins like a path, or has no slash, is none. */
function isHubId(path: string): boolean {
  return /^[^./\\][^/\\]*\/[^/\\]/.test(path);
}

function valueAt(value: unknown, at: JSONPath): unknown {
  return at.reduce<unknown>(
    (found, key) =>
      typeof found === "object" && found !== null
        ? (found as Record<string | number, unknown>)[key]
        : undefined,
    value,
  );
}
