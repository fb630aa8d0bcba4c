/**
 * A folder of entries by key that may be lost at any time. Entries are written whole or not at all; one that cannot be read, is
 * no JSON, or is not there is absent, and one that cannot be written is not kept: a cache never makes work fail.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { readBytes, readJson, writeFileAtomic } from "./disk.ts";

/** Entries of one kind below a cache folder. */
export class Cache {
  readonly #folder: string;

  constructor(cacheFolder: string, kind: string) {
    this.#folder = join(cacheFolder, kind);
  }

  readJson(key: string): unknown {
    return ifPossible(() => readJson(this.#path(key, "json")));
  }

  /** Returns whether the entry was kept. */
  writeJson(key: string, value: unknown): boolean {
    return this.#write(this.#path(key, "json"), JSON.stringify(value));
  }

  readBytes(key: string): Uint8Array<ArrayBuffer> | undefined {
    return ifPossible(() => readBytes(this.#path(key, "bin")));
  }

  /** Returns whether the entry was kept. */
  writeBytes(key: string, bytes: Uint8Array): boolean {
    return this.#write(this.#path(key, "bin"), bytes);
  }

  #write(path: string, data: string | Uint8Array): boolean {
    const kept = ifPossible(() => {
      writeFileAtomic(path, data);
      return true;
    });
    return kept === true;
  }

  /** Keys that are plain names of moderate length stay readable; others are hashed. */
  #path(key: string, ending: string): string {
    const isName = /^[a-z0-9][a-z0-9._-]{0,150}$/.test(key);
    const name = isName ? key : `~${createHash("sha256").update(key).digest("hex")}`;
    return join(this.#folder, `${name}.${ending}`);
  }
}

function ifPossible<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
