/**
 * Token windows: what a language model is run on, each a sequence from position 0, kept as ids in one safetensors file so
 * that a run can go on at any window without reading its corpus again. Two bytes a token where the vocabulary allows.
 */
import { readSafetensors, readSafetensorsHeader } from "../encoding/safetensors.ts";
import { safetensorsPieces } from "../encoding/safetensors-pieces.ts";
import { readBytes } from "../files/disk.ts";
import { inFile } from "../files/errors.ts";
import { writePiecesAtomic } from "../files/write-pieces.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { badTokenWindows } from "./errors.ts";

const format = "latent-workbench-token-windows-1";

/** Whether a safetensors file of this metadata is one of token windows. */
export function isTokenWindows(metadata: Readonly<Record<string, string>>): boolean {
  return metadata["format"] === format;
}

/** Windows of tokens one after the other. */
export class TokenWindows {
  readonly #ids: Uint16Array | Int32Array;
  readonly #starts: Uint32Array;
  /** What they were made from and how: files, tokenizer, policy. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    ids: Uint16Array | Int32Array,
    starts: Uint32Array,
    facts: Readonly<Record<string, unknown>>,
  ) {
    this.#ids = ids;
    this.#starts = starts;
    this.facts = facts;
  }

  /** Number of windows. */
  get count(): number {
    return this.#starts.length - 1;
  }

  /** Tokens of all windows. */
  get tokens(): number {
    return this.#ids.length;
  }

  /** Ids of a window. */
  window(index: number): Int32Array {
    return Int32Array.from(this.#ids.subarray(this.#starts[index], this.#starts[index + 1]));
  }

  /** Place of a window's first token among all tokens; of the end for the number of windows. */
  start(index: number): number {
    return this.#starts[index]!;
  }

  /** Id of a token by its place among all tokens. */
  idAt(place: number): number {
    return this.#ids[place]!;
  }

  /** Writes them as one file, whole or absent; returns its sha256. */
  write(path: string): string {
    const dtype = this.#ids instanceof Uint16Array ? "uint16" : "int32";
    const tensors = new Map<string, Tensor>([
      ["ids", tensor(dtype, [this.#ids.length], this.#ids)],
      ["starts", tensor("uint32", [this.#starts.length], this.#starts)],
    ]);
    const metadata = { format, facts: JSON.stringify(this.facts) };
    return writePiecesAtomic(path, safetensorsPieces(tensors, metadata)).sha256;
  }

  /** Reads a file of `write`. */
  static read(path: string): TokenWindows {
    const bytes = readBytes(path);
    const { metadata } = inFile(path, () => readSafetensorsHeader(bytes));
    if (!isTokenWindows(metadata)) {
      throw badTokenWindows(path, `its format is ${metadata["format"] ?? "not named"}`);
    }
    const tensors = inFile(path, () => readSafetensors(bytes));
    const ids = tensors.get("ids")?.data;
    const starts = tensors.get("starts")?.data;
    const isIds = ids instanceof Uint16Array || ids instanceof Int32Array;
    if (!isIds || !(starts instanceof Uint32Array) || !areStarts(starts, ids.length)) {
      throw badTokenWindows(path, "its ids and starts do not fit together");
    }
    return new TokenWindows(ids, starts, JSON.parse(metadata["facts"] ?? "{}") as never);
  }
}

/** Collects windows. */
export class TokenWindowsBuilder {
  #ids: Uint16Array | Int32Array;
  #used = 0;
  readonly #starts: number[] = [0];

  constructor(d_vocab: number) {
    this.#ids = d_vocab <= 2 ** 16 ? new Uint16Array(2 ** 16) : new Int32Array(2 ** 16);
  }

  /** Windows so far. */
  get count(): number {
    return this.#starts.length - 1;
  }

  /** Tokens so far. */
  get tokens(): number {
    return this.#used;
  }

  push(window: ArrayLike<number>): void {
    if (this.#used + window.length > this.#ids.length) {
      const length = Math.max(this.#used + window.length, this.#ids.length * 2);
      const grown =
        this.#ids instanceof Uint16Array ? new Uint16Array(length) : new Int32Array(length);
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids.set(window, this.#used);
    this.#used += window.length;
    this.#starts.push(this.#used);
  }

  finish(facts: Readonly<Record<string, unknown>>): TokenWindows {
    return new TokenWindows(this.#ids.slice(0, this.#used), Uint32Array.from(this.#starts), facts);
  }
}

function areStarts(starts: Uint32Array, tokens: number): boolean {
  if (starts[0] !== 0 || starts.at(-1) !== tokens) return false;
  for (let i = 1; i < starts.length; i++) if (starts[i]! < starts[i - 1]!) return false;
  return true;
}
