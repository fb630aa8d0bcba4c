/** Where documents lie, and the workspace's `latents.jsonc`. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists, readText } from "../files/disk.ts";
import { placeOf } from "../files/written-path.ts";
import { type LatentsFile, parseLatentsFile } from "../text/latents-file.ts";

/** The folder of a document on disk; none for others. */
export function folderOf(uri: string): string[] {
  return uri.startsWith("file:") ? [dirname(fileURLToPath(uri))] : [];
}

/** Reads `latents.jsonc` of the first folder that has one; undefined when none has. */
export function readLatentsFile(folders: readonly string[]): LatentsFile | undefined {
  const path = folders.map((folder) => join(folder, "latents.jsonc")).find(exists);
  if (path === undefined) return undefined;
  return parseLatentsFile(readText(path), path, (it) => placeOf(it, [dirname(path)]));
}
