/** A file that another process writes its output to. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { unwritableFile } from "./errors.ts";

/** Opens a file at its end, made where it is missing; the descriptor may be handed to a process that is started. */
export function openForOutput(path: string): { descriptor: number; close(): void } {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, "a");
    return { descriptor, close: () => closeSync(descriptor) };
  } catch (cause) {
    throw unwritableFile(path, cause);
  }
}
