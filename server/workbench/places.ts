/** Paths as people write them in settings and front matter. */
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists } from "../files/disk.ts";

/** A path with `~` for the home folder, or relative to one of the folders if it exists there; else as it is (a Hub id). */
export function placeOf(path: string, folders: readonly string[]): string {
  if (path.startsWith("~/")) return join(homedir(), path.slice(2));
  if (isAbsolute(path)) return path;
  return folders.map((folder) => join(folder, path)).find(exists) ?? path;
}

/** The folder of a document on disk; none for others. */
export function folderOf(uri: string): string[] {
  return uri.startsWith("file:") ? [dirname(fileURLToPath(uri))] : [];
}
