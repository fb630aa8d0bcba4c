/** Paths as people write them in settings, front matter and `latents.jsonc`. */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { exists } from "./disk.ts";

/** A path with `~` for the home folder, or relative to one of the folders if it exists there; else as it is (a Hub id). */
export function placeOf(path: string, folders: readonly string[]): string {
  if (path.startsWith("~/")) return join(homedir(), path.slice(2));
  if (isAbsolute(path)) return path;
  return folders.map((folder) => join(folder, path)).find(exists) ?? path;
}
