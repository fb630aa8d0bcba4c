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

/** Runs an action that sees bytes only and puts the path before the text of its user errors. */
export function inFile<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

/** The system's word for what went wrong, without the call and path that Node puts around it. */
export function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/, \w+( '.*')?$/, "");
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
