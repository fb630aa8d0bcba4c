/** Where documents lie, and the workspace's `latents.jsonc`. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists, readText } from "../files/disk.ts";
import { placeOf } from "../files/written-path.ts";
import { type LatentsFile, parseLatentsFile } from "../text/latents-file.ts";

/** The folder of a document on disk, or of the notebook of a cell; none for others. */
export function folderOf(uri: string): string[] {
  const file = notebookOf(uri) ?? uri;
  return file.startsWith("file:") ? [dirname(fileURLToPath(file))] : [];
}

/** The path of a document's file, as patterns are compared with it: without its scheme and the slash that it begins with. */
export function patternPath(uri: string): string {
  const file = notebookOf(uri) ?? uri;
  return decodeURIComponent(file.replace(/^[a-z-]+:\/\//i, "").replace(/^\/+/, ""));
}

/** The file of a notebook's cell: `vscode-notebook-cell:` and the notebook's place with the cell's name as fragment. */
function notebookOf(uri: string): string | undefined {
  const path = /^vscode-notebook-cell:(?:\/\/[^/]*)?([^#]*)/.exec(uri)?.[1];
  return path === undefined ? undefined : `file://${path}`;
}

/** Reads `latents.jsonc` of the first folder that has one; undefined when none has. */
export function readLatentsFile(folders: readonly string[]): LatentsFile | undefined {
  const path = folders.map((folder) => join(folder, "latents.jsonc")).find(exists);
  if (path === undefined) return undefined;
  return parseLatentsFile(readText(path), path, (it) => placeOf(it, [dirname(path)]));
}
