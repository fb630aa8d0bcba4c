/**
 * The files room: the only one that touches the disk, and the network but for `chat`. It knows where things lie and how to
 * read, write and download them whole; what the bytes mean is the encoding room's.
 *
 * This file: plain reading and writing with errors that a user can act on. Start with `weights.ts` for tensors and
 * `hub.ts` for downloads.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../base/errors.ts";
import {
  fileChanged,
  fileNotFound,
  notJson,
  notUtf8,
  unreadableFile,
  unwritableFile,
} from "./errors.ts";

/** Node reads at most 2^31 − 1 bytes in one call; larger files are read in pieces of this size. */
const pieceBytes = 2 ** 30;

/** True if a file or folder lies at the path. */
export function exists(path: string): boolean {
  return existsSync(path);
}

/** True if a folder (or a link to one) lies at the path. */
export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** Size of a file in bytes. */
export function fileSize(path: string): number {
  return stats(path).size;
}

/** The absolute path with symbolic links resolved: what ONNX Runtime needs to open external data. */
export function realPath(path: string): string {
  return reading(path, () => realpathSync(path));
}

/** Names of the files and folders in a folder, sorted. */
export function listFolder(path: string): string[] {
  return reading(path, () => readdirSync(path)).sort();
}

/** The bytes `[from, to)` of a file; all of it by default. */
export function readBytes(path: string, from = 0, to?: number): Uint8Array<ArrayBuffer> {
  const file = openFile(path);
  try {
    const bytes = allocate(path, (to ?? file.size) - from);
    file.read(from, bytes);
    return bytes;
  } finally {
    file.close();
  }
}

/** The text of a UTF-8 file, without a byte order mark; other bytes are an error that says where. */
export function readText(path: string): string {
  const bytes = readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw notUtf8(path, firstInvalidByte(bytes));
  }
}

/** The value of a JSON file. */
export function readJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notJson(path, cause);
  }
}

/**
 * Writes a file so that it is whole or absent at every moment, even after a crash: under a temporary name in the same
 * folder, flushed, then renamed. Missing folders are made.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(temporary, "wx");
    try {
      writeFileSync(descriptor, data);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (cause) {
    if (existsSync(temporary)) rmSync(temporary, { force: true });
    throw unwritableFile(path, cause);
  }
}

/** Files below a folder as paths relative to it with `/`, sorted; links to folders are not followed. */
export function listFiles(folder: string): string[] {
  const files: string[] = [];
  const visit = (below: string): void => {
    for (const entry of reading(folder, () =>
      readdirSync(join(folder, below), { withFileTypes: true }),
    )) {
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) visit(name);
      else files.push(name);
    }
  };
  visit("");
  return files.sort();
}

/** A file open for reading at any place. */
export interface OpenFile {
  readonly path: string;
  readonly size: number;
  /** Fills `into` with the bytes from `offset` on; an error if the file ends before. */
  read(offset: number, into: Uint8Array): void;
  close(): void;
}

/** Opens a file for reading; who opens it closes it. */
export function openFile(path: string): OpenFile {
  const descriptor = reading(path, () => {
    if (statSync(path).isDirectory()) throw new Error("it is a folder");
    return openSync(path, "r");
  });
  let open = true;
  return {
    path,
    size: stats(path).size,
    read(offset, into) {
      let done = 0;
      while (done < into.length) {
        const length = Math.min(pieceBytes, into.length - done);
        const read = reading(path, () => readSync(descriptor, into, done, length, offset + done));
        if (read === 0) throw fileChanged(path, offset + into.length, offset + done);
        done += read;
      }
    },
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

/** An array of this many bytes, or a user's error where memory or the engine's limits do not allow it. */
export function allocate(path: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new UserError(
      "too-large",
      `${path} needs ${bytes} bytes at once, more than this machine gives; use a smaller file`,
      { cause },
    );
  }
}

function stats(path: string): Stats {
  return reading(path, () => statSync(path));
}

/** Runs a system call and turns its failure into an error that names the path. */
function reading<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw code === "ENOENT" || code === "ENOTDIR"
      ? fileNotFound(path, cause)
      : unreadableFile(path, cause);
  }
}

/** Where the first character that is not UTF-8 begins. */
function firstInvalidByte(bytes: Uint8Array): number {
  // A decoder in stream mode accepts every beginning of valid text, so the longest accepted one is found by halving.
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isValid(bytes.subarray(0, middle), true)) valid = middle;
    else invalid = middle;
  }
  // It may end inside a character, which then is the culprit.
  let start = valid;
  while (start > 0 && (bytes[start - 1]! & 0xc0) === 0x80) start--;
  if (start > 0 && bytes[start - 1]! >= 0xc0) start--;
  return isValid(bytes.subarray(start, valid), false) ? valid : start;
}

function isValid(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}
