/** What can be wrong with paths, files and downloads. */
import { UserError } from "../base/errors.ts";

/** Nothing lies at the path. */
export function fileNotFound(path: string, cause?: unknown): UserError {
  return new UserError("file-not-found", `${path} does not exist; check the path`, { cause });
}

/** The system refuses to read the file or folder, e.g. for its permissions. */
export function unreadableFile(path: string, cause: unknown): UserError {
  return new UserError("unreadable-file", `${path} cannot be read: ${reason(cause)}`, { cause });
}

/** The system refuses to write the file. */
export function unwritableFile(path: string, cause: unknown): UserError {
  return new UserError(
    "unwritable-file",
    `${path} cannot be written: ${reason(cause)}; check space and permissions`,
    { cause },
  );
}

/** A text file holds bytes that are not UTF-8. */
export function notUtf8(path: string, offset: number): UserError {
  return new UserError(
    "not-utf8",
    `${path} is not UTF-8 text: byte ${offset} begins no character; save it as UTF-8`,
  );
}

/** A file that should be JSON is not. */
export function notJson(path: string, cause: unknown): UserError {
  return new UserError("not-json", `${path} is not JSON: ${reason(cause)}`, { cause });
}

/** The file ended, or changed, while it was being read. */
export function fileChanged(path: string, expected: number, found: number): UserError {
  return new UserError(
    "file-changed",
    `${path} ended early: expected ${expected} bytes, found ${found}; it was changed or cut off while in use, load it again`,
  );
}

/** No weights in a form that we read. */
export function noWeights(path: string, found: readonly string[]): UserError {
  const what = found.length === 0 ? "nothing" : some(found);
  return new UserError(
    "no-weights",
    `no weights in ${path}: expected model.safetensors, model.safetensors.index.json or one .gguf file, found ${what}`,
  );
}

/** A file whose ending says that it holds no weights that we read. */
export function unknownWeightsFile(path: string): UserError {
  return new UserError(
    "unknown-weights-file",
    `${path} is neither a .safetensors nor a .gguf file, nor a folder with one; convert it to safetensors`,
  );
}

/** A sharded index that names impossible or absent files. */
export function badShardIndex(path: string, found: string): UserError {
  return new UserError(
    "bad-shard-index",
    `${path} does not fit the files beside it: ${found}; download the folder again`,
  );
}

/** The weights have no tensor of this name. */
export function missingTensor(path: string, name: string, names: readonly string[]): UserError {
  return new UserError(
    "missing-tensor",
    `${path} has no tensor "${name}"; it has ${names.length === 0 ? "none" : some(nearest(name, names))}`,
  );
}

/** Not the name of a repository on the Hub. */
export function badRepoName(repo: string): UserError {
  return new UserError(
    "bad-repo-name",
    `"${repo}" is no name of a Hub repository; expected org/name, e.g. google/gemma-2-2b`,
  );
}

/** Not a branch, tag or commit. */
export function badRevision(revision: string): UserError {
  return new UserError(
    "bad-revision",
    `"${revision}" is no revision; expected a branch, tag or commit, e.g. main`,
  );
}

/** A download is asked for while `HF_HUB_OFFLINE` is set. */
export function offline(repo: string, revision: string, cached: string | undefined): UserError {
  const found = cached === undefined ? "it is not" : `only part of it is, in ${cached}`;
  return new UserError(
    "hub-offline",
    `${repo} at ${revision} should be in the Hub cache, since HF_HUB_OFFLINE is set, but ${found}; unset HF_HUB_OFFLINE or download it elsewhere`,
  );
}

/** No connection to the Hub, or one that breaks again and again. */
export function hubUnreachable(endpoint: string, cause: unknown): UserError {
  return new UserError(
    "hub-unreachable",
    `no lasting connection to ${endpoint}: ${networkReason(cause)}; check the network and try again, a download goes on where it stopped`,
    { cause },
  );
}

/** The Hub answers a request with an error. */
export function hubRefuses(
  what: string,
  status: number,
  { code, hasToken }: { code: string | null; hasToken: boolean },
): UserError {
  const token = hasToken ? "check the token" : "set a token (HF_TOKEN or hf auth login)";
  if (status === 401 || code === "RepoNotFound") {
    return new UserError(
      "hub-no-access",
      `the Hub does not give ${what} (${status}): it does not exist, is private or gated; check its name, or ${token}`,
    );
  }
  if (status === 403 || code === "GatedRepo") {
    return new UserError(
      "hub-gated",
      `the Hub does not give ${what} (${status}): its owners want their terms accepted; do so on its page on the Hub, and ${token}`,
    );
  }
  if (status === 404) {
    return new UserError("hub-not-found", `the Hub has no ${what} (404); check names and revision`);
  }
  if (status === 429 || status >= 500) {
    return new UserError("hub-busy", `the Hub answers ${status} for ${what}; try again later`);
  }
  return new UserError("hub-refuses", `the Hub answers ${status} for ${what}; check the request`);
}

/** The Hub's answer is not of the form that it documents. */
export function badHubAnswer(url: string, cause: unknown): UserError {
  return new UserError(
    "bad-hub-answer",
    `the answer of ${url} is not of the Hub's form: ${reason(cause)}; check HF_ENDPOINT`,
    { cause },
  );
}

/** A downloaded file whose hash is not the one that the Hub names. */
export function corruptDownload(file: string, expected: string, found: string): UserError {
  return new UserError(
    "corrupt-download",
    `${file} came damaged: expected hash ${expected}, found ${found}; it was removed, try again`,
  );
}

/** No file of the repository matches a name. */
export function fileNotInRepo(repo: string, name: string, files: readonly string[]): UserError {
  return new UserError(
    "file-not-in-repo",
    `${repo} has no file or folder ${name}; it has ${files.length === 0 ? "none" : some(nearest(name, files))}`,
  );
}

/** Without names of files it is not clear which of a repository's weights are meant. */
export function noFilesNamed(repo: string, files: readonly string[]): UserError {
  const weights = files.filter((file) => /\.(safetensors|gguf|npz|pt|pth)$/.test(file));
  return new UserError(
    "no-files-named",
    `${repo} has no weights, or several, at its top; name files or folders of it, e.g. ${some(weights.length > 0 ? weights : files)}`,
  );
}

/** The disk is too full for a download. */
export function notEnoughSpace(folder: string, bytes: number, free: number): UserError {
  return new UserError(
    "not-enough-space",
    `${folder} needs ${megabytes(bytes)}, but only ${megabytes(free)} are free; make room or set HF_HUB_CACHE to another disk`,
  );
}

/** Runs an action that sees bytes only and puts the path before the text of its user errors. */
export function inFile<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

/** The same for what answers later. */
export async function inFileAsync<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    return inFile(path, () => {
      throw cause;
    });
  }
}

/** The system's word for what went wrong, without the call and path that Node puts around it. */
export function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/, \w+( '.*')?$/, "");
}

/** The innermost cause says what happened: fetch itself only says that it failed. */
function networkReason(cause: unknown): string {
  let inner = cause;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  return reason(inner) || "no answer";
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

const shown = 8;

function some(names: readonly string[]): string {
  const rest = names.length - shown;
  return names.slice(0, shown).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/** Names that share most of their beginning or ending with the missing one come first. */
function nearest(name: string, names: readonly string[]): string[] {
  const score = (it: string): number => sharedStart(name, it) + sharedStart(turn(name), turn(it));
  return [...names].sort((a, b) => score(b) - score(a));
}

function sharedStart(a: string, b: string): number {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return n;
}

function turn(text: string): string {
  return text.split("").toReversed().join("");
}
