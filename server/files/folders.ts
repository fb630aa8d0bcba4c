/** Folders and whole files: make, remove, measure, hash. */
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { openFile } from "./disk.ts";
import { unwritableFile } from "./errors.ts";

/** Makes a folder and those above it; one that is there is no mistake. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw unwritableFile(path, cause);
  }
}

/** Removes a file or folder with all that is in it; one that is not there is no mistake. */
export function removePath(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (cause) {
    throw unwritableFile(path, cause);
  }
}

/** Bytes that the disk of a folder still takes. The folder is made. */
export function freeBytes(folder: string): number {
  makeFolder(folder);
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Throws before anything is written if the disk of the folder cannot take so many bytes. */
export function requireRoom(folder: string, bytes: number): void {
  const free = freeBytes(folder);
  if (bytes > free) throw noRoom(folder, bytes, free);
}

const hashPiece = 2 ** 22;

/** sha256 of all of a file's bytes, in hexadecimal. */
export function sha256OfFile(path: string): string {
  const file = openFile(path);
  try {
    const hash = createHash("sha256");
    const piece = new Uint8Array(Math.min(hashPiece, file.size));
    for (let at = 0; at < file.size; at += piece.length) {
      const bytes = piece.subarray(0, Math.min(piece.length, file.size - at));
      file.read(at, bytes);
      hash.update(bytes);
    }
    return hash.digest("hex");
  } finally {
    file.close();
  }
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function noRoom(folder: string, bytes: number, free: number): UserError {
  return new UserError(
    "no-room",
    `${folder} would take ${gib(bytes)}, but its disk has only ${gib(free)} free; make room or choose a folder on another disk`,
  );
}
