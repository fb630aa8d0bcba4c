/** Large files written piece by piece: whole or absent at every moment, with their hash. */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { unwritableFile } from "./errors.ts";

/** Node writes at most 2^31 − 1 bytes in one call. */
const pieceBytes = 2 ** 30;

/** What was written. */
export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Writes pieces one after the other under a temporary name in the same folder, flushes, renames, and flushes the
 * folder, so that after a crash or a loss of power the path has the old file or the whole new one. Missing folders are made.
 */
export function writePiecesAtomic(path: string, pieces: Iterable<Uint8Array>): WrittenFile {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(temporary, "wx");
    try {
      for (const piece of pieces) {
        hash.update(piece);
        bytes += writeAll(descriptor, piece);
      }
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
    flushFolder(dirname(path));
  } catch (cause) {
    if (existsSync(temporary)) rmSync(temporary, { force: true });
    throw unwritableFile(path, cause);
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** True if the disk, or the user's share of it, is full somewhere at the bottom of an error. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") return true;
  }
  return false;
}

/** Makes a rename last. Windows cannot flush folders and need not: its file system logs renames. */
export function flushFolder(path: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeAll(descriptor: number, piece: Uint8Array): number {
  let done = 0;
  while (done < piece.length) {
    done += writeSync(descriptor, piece, done, Math.min(pieceBytes, piece.length - done));
  }
  return done;
}
