/** A text file that only grows at its end, and can be cut back once when it is opened: a log that outlives crashes. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { unwritableFile } from "./errors.ts";

/** An open file to append to. */
export class GrowingFile {
  readonly path: string;
  readonly #descriptor: number;
  #size: number;

  /** Opens or makes the file; `keep` is how many of its first bytes stay (default: all). */
  constructor(path: string, keep?: number) {
    this.path = path;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#descriptor = openSync(path, "a");
      this.#size = fstatSync(this.#descriptor).size;
      if (keep !== undefined && keep < this.#size) {
        ftruncateSync(this.#descriptor, keep);
        this.#size = keep;
      }
    } catch (cause) {
      throw unwritableFile(path, cause);
    }
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  /** Adds text at the end; it is in the system's hands afterwards, but not yet on the disk. */
  append(text: string): void {
    const bytes = new TextEncoder().encode(text);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#descriptor, bytes, done);
    } catch (cause) {
      this.#cutBack();
      throw unwritableFile(this.path, cause);
    }
    this.#size += bytes.length;
  }

  /** Waits until what was added is on the disk. */
  flush(): void {
    try {
      fsyncSync(this.#descriptor);
    } catch (cause) {
      throw unwritableFile(this.path, cause);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** A full disk may have taken half a line. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#descriptor, this.#size);
    } catch {
      // A device or a file that someone replaced: the error of the write says more.
    }
  }
}
