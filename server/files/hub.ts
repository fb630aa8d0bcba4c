/**
 * Downloads from the Hugging Face Hub into its own cache (`hub-cache.ts`), so that Python tools find the same files
 * and nothing is fetched twice. Written on `fetch`: the package @huggingface/hub starts broken downloads from zero and
 * tells neither progress nor takes a signal.
 */
import { mkdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileNotInRepo, noFilesNamed, notEnoughSpace, offline, unwritableFile } from "./errors.ts";
import { exists, fileSize, listFiles } from "./disk.ts";
import { downloadBlob } from "./hub-blob.ts";
import {
  checkRevision,
  findInHubCache,
  hubToken,
  isOffline,
  linkSnapshot,
  repoFolder,
  writeRef,
} from "./hub-cache.ts";
import type { HubAccess, HubFile, HubSnapshot } from "./hub-client.ts";
import { hubEndpoint, readSnapshot } from "./hub-client.ts";

export { findInHubCache, listHubCache } from "./hub-cache.ts";

/** What to download. */
export interface HubRequest {
  /** `org/name`, or `datasets/org/name`. */
  readonly repo: string;
  /** Branch, tag or commit; "main" by default. */
  readonly revision?: string;
  /**
   * Files (`config.json`), folders (`layer_9/width_16k/`) or patterns with `*`. By default what an LM or SAE at the top of
   * the repository needs: its configs, tokenizer and weights, safetensors if there are any.
   */
  readonly files?: readonly string[];
  /** Wins over the environment's and the file's. */
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: HubProgress) => void;
}

/** How far a download is. */
export interface HubProgress {
  /** The file under way. */
  readonly file: string;
  /** Bytes that are there, of all files asked for. */
  readonly done: number;
  readonly total: number;
}

/**
 * Downloads files of a repository and returns their snapshot folder in the cache. Files that are there are not fetched
 * again, broken downloads go on where they stopped, and every file is checked by hash. Offline (`HF_HUB_OFFLINE`) the
 * cache's snapshot is returned if it has the files.
 */
export async function downloadFromHub(request: HubRequest): Promise<string> {
  const { repo, revision = "main", files, signal } = request;
  const folder = repoFolder(repo);
  checkRevision(revision);
  signal?.throwIfAborted();
  if (isOffline()) return findOffline(request, revision);
  const access: HubAccess = {
    endpoint: hubEndpoint(),
    token: request.token ?? hubToken(),
    signal,
  };
  const snapshot = await readSnapshot(access, repo, revision);
  const wanted = chooseFiles(repo, snapshot, files);
  await fetchAll({ access, repo, folder, snapshot, request }, wanted);
  writeRef(repo, revision, snapshot.commit);
  return join(folder, "snapshots", snapshot.commit);
}

/** Files of a repository, of which each is downloaded when it is asked for. */
export interface HubListing {
  /** Paths in the repository, and bytes. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The file in the cache; downloads it unless it is there. */
  fetch(file: string, onProgress?: HubRequest["onProgress"]): Promise<string>;
}

/** Lists a repository, e.g. `datasets/org/name`. Offline these are the files of the cache's snapshot. */
export async function listHubFiles(request: Omit<HubRequest, "files">): Promise<HubListing> {
  const { repo, revision = "main", signal } = request;
  const folder = repoFolder(repo);
  checkRevision(revision);
  if (isOffline()) {
    const cached = findInHubCache(repo, revision);
    if (cached === undefined) throw offline(repo, revision, cached);
    return {
      files: listFiles(cached).map((path) => ({ path, size: fileSize(join(cached, path)) })),
      fetch: async (file) => join(cached, file),
    };
  }
  const access: HubAccess = {
    endpoint: hubEndpoint(),
    token: request.token ?? hubToken(),
    signal,
  };
  const snapshot = await readSnapshot(access, repo, revision);
  return {
    files: snapshot.files,
    async fetch(name, onProgress) {
      const file = snapshot.files.filter(({ path }) => path === name);
      const own = onProgress ? { ...request, onProgress } : request;
      await fetchAll({ access, repo, folder, snapshot, request: own }, file);
      writeRef(repo, revision, snapshot.commit);
      return join(folder, "snapshots", snapshot.commit, name);
    },
  };
}

interface Fetch {
  readonly access: HubAccess;
  readonly repo: string;
  readonly folder: string;
  readonly snapshot: HubSnapshot;
  readonly request: HubRequest;
}

async function fetchAll(fetch: Fetch, wanted: readonly HubFile[]): Promise<void> {
  const { access, repo, folder, request } = fetch;
  const { commit } = fetch.snapshot;
  const pointerOf = (file: HubFile): string => join(folder, "snapshots", commit, file.path);
  const missing = wanted.filter((file) => sizeAt(pointerOf(file)) !== file.size);
  const total = wanted.reduce((sum, file) => sum + file.size, 0);
  let done = total - missing.reduce((sum, file) => sum + file.size, 0);
  makeRoom(join(folder, "blobs"), total - done);
  const report = sparsely(request.onProgress);
  for (const file of missing) {
    access.signal?.throwIfAborted();
    const blob = join(folder, "blobs", file.etag);
    const isNew = sizeAt(blob) !== file.size;
    if (isNew) {
      const onBytes = (bytes: number): void =>
        report({ file: file.path, done: done + bytes, total });
      await downloadBlob({ access, repo, commit, file, onBytes }, blob);
    }
    linkSnapshot(blob, pointerOf(file), isNew);
    done += file.size;
  }
  const last = wanted.at(-1);
  if (last) request.onProgress?.({ file: last.path, done: total, total });
}

function findOffline({ repo, files = [] }: HubRequest, revision: string): string {
  const cached = findInHubCache(repo, revision);
  const isThere = (file: string): boolean => file.includes("*") || exists(join(cached ?? "", file));
  if (cached === undefined || !files.every(isThere)) throw offline(repo, revision, cached);
  return cached;
}

/** The files that are asked for; each name must match something. */
function chooseFiles(
  repo: string,
  { files }: HubSnapshot,
  names: readonly string[] | undefined,
): readonly HubFile[] {
  if (names === undefined || names.length === 0) return chooseDefaults(repo, files);
  const chosen = new Set<HubFile>();
  for (const name of names) {
    const matches = files.filter((file) => matcher(name).test(file.path));
    if (matches.length === 0)
      throw fileNotInRepo(
        repo,
        name,
        files.map((file) => file.path),
      );
    for (const file of matches) chosen.add(file);
  }
  return [...chosen];
}

/** A file by its path, a folder by its path with or without `/`, or a pattern in which `*` is anything. */
function matcher(name: string): RegExp {
  const parts = name.replace(/\/+$/, "").split("*");
  const pattern = parts.map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
  return new RegExp(`^${pattern}(/.*)?$`, "s");
}

function chooseDefaults(repo: string, files: readonly HubFile[]): readonly HubFile[] {
  const top = files.filter(({ path }) => !path.includes("/"));
  const of = (pattern: RegExp): HubFile[] => top.filter(({ path }) => pattern.test(path));
  // Mistral's repositories hold the same weights once more in files named consolidated.
  const safetensors = of(/^(?!consolidated).*\.safetensors$/);
  const gguf = of(/\.gguf$/);
  const other = of(/\.(npz|pt|pth)$/);
  const weights = [safetensors, gguf.length === 1 ? gguf : [], other].find((it) => it.length > 0);
  if (weights === undefined)
    throw noFilesNamed(
      repo,
      files.map((file) => file.path),
    );
  return [...of(/\.(json|jinja|ya?ml)$/), ...weights];
}

/** Makes the folder and refuses at once what the disk cannot hold. */
function makeRoom(folder: string, bytes: number): void {
  let free: number;
  try {
    mkdirSync(folder, { recursive: true });
    const { bavail, bsize } = statfsSync(folder);
    free = bavail * bsize;
  } catch (cause) {
    throw unwritableFile(folder, cause);
  }
  if (bytes > free) throw notEnoughSpace(folder, bytes, free);
}

/** At most ten reports a second. */
function sparsely(onProgress: HubRequest["onProgress"]): (progress: HubProgress) => void {
  let last = 0;
  return (progress) => {
    const now = performance.now();
    if (now - last < 100) return;
    last = now;
    onProgress?.(progress);
  };
}

/** Size of the file that a path leads to; undefined if there is none. */
function sizeAt(path: string): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : undefined;
}
