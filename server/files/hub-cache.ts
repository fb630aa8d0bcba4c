/**
 * The Hugging Face Hub's cache on disk, shared with its Python library and laid out as it documents
 * (https://huggingface.co/docs/hub/local-cache): `models--org--name/` with `refs/<revision>` (a commit),
 * `blobs/<etag>` (contents) and `snapshots/<commit>/<path>` (links to blobs).
 */
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { exists, isFolder, listFolder, readText, writeFileAtomic } from "./disk.ts";
import { badRepoName, badRevision, unwritableFile } from "./errors.ts";

/** `$HF_HOME`, by default `~/.cache/huggingface`: the folder of cache and token. */
export function hubHome(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  if (HF_HOME) return fromHome(HF_HOME);
  return join(XDG_CACHE_HOME ? fromHome(XDG_CACHE_HOME) : join(homedir(), ".cache"), "huggingface");
}

/** `$HF_HUB_CACHE`, else `$HF_HOME/hub`. */
export function hubCacheFolder(): string {
  const folder = process.env["HF_HUB_CACHE"] || process.env["HUGGINGFACE_HUB_CACHE"];
  return folder ? fromHome(folder) : join(hubHome(), "hub");
}

/** `$HF_TOKEN`, else the token that `hf auth login` left in a file; undefined if there is none. */
export function hubToken(): string | undefined {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH } = process.env;
  const given = HF_TOKEN?.trim() || HUGGING_FACE_HUB_TOKEN?.trim();
  if (given) return given;
  const path = HF_TOKEN_PATH ? fromHome(HF_TOKEN_PATH) : join(hubHome(), "token");
  return (exists(path) && readText(path).trim()) || undefined;
}

/** True with `HF_HUB_OFFLINE` (or `TRANSFORMERS_OFFLINE`) set to 1, true, yes or on. */
export function isOffline(): boolean {
  const value = process.env["HF_HUB_OFFLINE"] || process.env["TRANSFORMERS_OFFLINE"] || "";
  return ["1", "true", "yes", "on"].includes(value.toLowerCase());
}

/** The snapshot folder of a repository in the cache, with what was downloaded of it; undefined if there is none. */
export function findInHubCache(repo: string, revision = "main"): string | undefined {
  const folder = repoFolder(repo);
  const ref = join(folder, "refs", checkRevision(revision));
  const commit = exists(ref) && !isFolder(ref) ? readText(ref).trim() : revision;
  const snapshot = join(folder, "snapshots", commit);
  return isCommit(commit) && isFolder(snapshot) ? snapshot : undefined;
}

/** Repositories of models in the cache that have a snapshot of their main branch. */
export function listHubCache(): { repo: string; folder: string }[] {
  const cache = hubCacheFolder();
  if (!isFolder(cache)) return [];
  return listFolder(cache).flatMap((name) => {
    const parts = /^models--(.+)$/.exec(name)?.[1]?.split("--");
    if (parts === undefined || !isRepoName(parts.join("/"))) return [];
    const repo = parts.join("/");
    const folder = findInHubCache(repo);
    return folder === undefined ? [] : [{ repo, folder }];
  });
}

/** The folder of a repository in the cache, which need not exist. A dataset's name begins with `datasets/`. */
export function repoFolder(repo: string): string {
  const [first, ...rest] = repo.split("/");
  const isDataset = first === "datasets" && rest.length > 0;
  const name = isDataset ? rest.join("/") : repo;
  if (!isRepoName(name)) throw badRepoName(repo);
  return join(hubCacheFolder(), [isDataset ? "datasets" : "models", ...name.split("/")].join("--"));
}

/** Notes which commit a branch or tag is at. */
export function writeRef(repo: string, revision: string, commit: string): void {
  if (revision === commit) return;
  const path = join(repoFolder(repo), "refs", checkRevision(revision));
  if (!exists(path) || readText(path).trim() !== commit) writeFileAtomic(path, commit);
}

/**
 * Makes `snapshots/<commit>/<file>` lead to its blob by a relative link. Where the system allows no links (Windows
 * without developer mode), the file itself goes there as in the Python library: moved if the blob is new, else copied.
 */
export function linkSnapshot(blob: string, pointer: string, isNew: boolean): void {
  try {
    mkdirSync(dirname(pointer), { recursive: true });
    if (existsSync(pointer) && realpathSync(pointer) === realpathSync(blob)) return;
    rmSync(pointer, { force: true });
    try {
      symlinkSync(relative(dirname(pointer), blob), pointer, "file");
    } catch (error) {
      // Another process may have made the same link in between.
      if (lstatSync(pointer, { throwIfNoEntry: false })?.isSymbolicLink()) return;
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") throw error;
      if (isNew) renameSync(blob, pointer);
      else copyFileSync(blob, pointer);
    }
  } catch (cause) {
    throw unwritableFile(pointer, cause);
  }
}

/** True for the 40 hexadecimal digits of a commit. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** `name` or `org/name`, of letters, digits, `-`, `_` and `.`, as the Hub allows. */
function isRepoName(repo: string): boolean {
  return (
    /^[\w-][\w.-]{0,95}(\/[\w-][\w.-]{0,95})?$/.test(repo) &&
    !repo.includes("--") &&
    !repo.includes("..")
  );
}

/** A branch, tag, pull request (`refs/pr/1`) or commit, which becomes a path below `refs`. */
export function checkRevision(revision: string): string {
  const isName = /^[\w.+-]+(\/[\w.+-]+)*$/.test(revision) && !revision.includes("..");
  if (!isName) throw badRevision(revision);
  return revision;
}

function fromHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
