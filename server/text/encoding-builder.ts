/** Collects the tokens of a text with their ranges. */
import { type Piece, originEnd, originStart } from "./aligned-text.ts";
import type { PieceTokens } from "./bpe.ts";
import type { Encoding } from "./tokenizer.ts";

/** Grows an encoding token by token. */
export class EncodingBuilder {
  #ids: Int32Array;
  #start: Int32Array;
  #end: Int32Array;
  #special: Uint8Array;
  #byteOfCharacter: Uint8Array;
  #bytesInCharacter: Uint8Array;
  #length = 0;

  constructor(capacity: number) {
    this.#ids = new Int32Array(capacity);
    this.#start = new Int32Array(capacity);
    this.#end = new Int32Array(capacity);
    this.#special = new Uint8Array(capacity);
    this.#byteOfCharacter = new Uint8Array(capacity);
    this.#bytesInCharacter = new Uint8Array(capacity);
  }

  /** An added token over an original range. */
  pushAdded(id: number, start: number, end: number, special: boolean): void {
    this.#reserve(1);
    this.#special[this.#length] = special ? 1 : 0;
    this.#put(id, start, end);
  }

  /** The tokens of a stretch that starts at `offset` in a piece. */
  pushTokens(tokens: PieceTokens, piece: Piece, offset: number): void {
    this.#reserve(tokens.length / 5);
    for (let at = 0; at < tokens.length; at += 5) {
      const start = offset + (tokens[at + 1] as number);
      const end = offset + (tokens[at + 2] as number);
      this.#byteOfCharacter[this.#length] = tokens[at + 3] as number;
      this.#bytesInCharacter[this.#length] = tokens[at + 4] as number;
      if (piece.map) this.#countInClusters(piece, start, end);
      this.#put(tokens[at] as number, originStart(piece, start), originEnd(piece, end));
    }
  }

  finish(): Encoding {
    const length = this.#length;
    return {
      ids: this.#ids.slice(0, length),
      start: this.#start.slice(0, length),
      end: this.#end.slice(0, length),
      special: this.#special.slice(0, length),
      byteOfCharacter: this.#byteOfCharacter.slice(0, length),
      bytesInCharacter: this.#bytesInCharacter.slice(0, length),
    };
  }

  #put(id: number, start: number, end: number): void {
    this.#ids[this.#length] = id;
    this.#start[this.#length] = start;
    this.#end[this.#length++] = end;
  }

  /** Where one original range became several characters, bytes are counted through all of them. */
  #countInClusters(piece: Piece, start: number, end: number): void {
    const first = clusterAround(piece, start);
    const last = clusterAround(piece, end - 1);
    if (!first && !last) return;
    const at = this.#length;
    const before = (first?.before ?? 0) + Math.max(0, (this.#byteOfCharacter[at] as number) - 1);
    if (before > 0) {
      this.#byteOfCharacter[at] = Math.min(255, before + 1);
      if (first) this.#bytesInCharacter[at] = Math.min(255, first.bytes);
    } else if (last && (last.to > end || this.#bytesInCharacter[at]))
      this.#bytesInCharacter[at] = Math.min(255, last.bytes);
  }

  #reserve(more: number): void {
    const length = this.#length + more;
    if (length <= this.#ids.length) return;
    const capacity = 2 * length;
    this.#ids = copyInto(new Int32Array(capacity), this.#ids);
    this.#start = copyInto(new Int32Array(capacity), this.#start);
    this.#end = copyInto(new Int32Array(capacity), this.#end);
    this.#special = copyInto(new Uint8Array(capacity), this.#special);
    this.#byteOfCharacter = copyInto(new Uint8Array(capacity), this.#byteOfCharacter);
    this.#bytesInCharacter = copyInto(new Uint8Array(capacity), this.#bytesInCharacter);
  }
}

function copyInto<T extends Int32Array | Uint8Array>(to: T, from: T): T {
  to.set(from);
  return to;
}

interface Cluster {
  /** Unit behind its last one. */
  readonly to: number;
  /** UTF-8 bytes of all of it, and of what stands before the unit asked for. */
  readonly bytes: number;
  readonly before: number;
}

/** The characters around a unit that stand for the same original range, if there are several. */
function clusterAround(piece: Piece, unit: number): Cluster | undefined {
  const { text } = piece;
  const start = originStart(piece, unit);
  const end = originEnd(piece, unit + 1);
  const same = (at: number): boolean =>
    start < end && originStart(piece, at) === start && originEnd(piece, at + 1) === end;
  let from = unit;
  while (from > 0 && same(from - 1)) from--;
  let to = unit + 1;
  while (to < text.length && same(to)) to++;
  if (to - from < 2) return undefined;
  return {
    to,
    bytes: Buffer.byteLength(text.slice(from, to)),
    before: Buffer.byteLength(text.slice(from, unit)),
  };
}
