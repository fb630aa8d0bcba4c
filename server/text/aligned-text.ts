/**
 * Text on its way into the model, with the way back to the text it came from. Normalisers and pre-tokenizers split and
 * change pieces; whatever they do, every UTF-16 code unit keeps the range of original code units that it stands for.
 */

/** The original range of every code unit of some text; empty ranges for units that stand for nothing, such as a prefix. */
export interface OriginMap {
  readonly start: Int32Array;
  readonly end: Int32Array;
}

/** A stretch of text. */
export interface Piece {
  readonly text: string;
  /** Original offset of `text[0]`; with a map, its index into the map. */
  readonly at: number;
  /** Absent where text and original agree unit by unit. */
  readonly map: OriginMap | undefined;
}

/** The piece that is all of an original text. */
export function wholeText(text: string): Piece {
  return { text, at: 0, map: undefined };
}

/** Code units [from, to) of a piece. */
export function slicePiece(piece: Piece, from: number, to: number): Piece {
  if (from === 0 && to === piece.text.length) return piece;
  return { text: piece.text.slice(from, to), at: piece.at + from, map: piece.map };
}

/** Original start of a unit of a piece; for the unit past its end, where the piece ends. */
export function originStart(piece: Piece, unit: number): number {
  const { map, at, text } = piece;
  if (!map) return at + unit;
  if (unit < text.length) return map.start[at + unit] as number;
  return at + unit === 0 ? 0 : (map.end[at + unit - 1] as number);
}

/** Original end of the unit before `unit`. */
export function originEnd(piece: Piece, unit: number): number {
  const { map, at } = piece;
  if (!map) return at + unit;
  return at + unit === 0 ? 0 : (map.end[at + unit - 1] as number);
}

/** The same piece with other text of the same length, unit for unit. */
export function respellPiece(piece: Piece, text: string): Piece {
  return { text, at: piece.at, map: piece.map };
}

/** The piece with a prefix that stands for nothing in the original. */
export function prependToPiece(piece: Piece, prefix: string): Piece {
  const builder = new PieceBuilder(piece, piece.text.length + prefix.length);
  builder.insert(prefix, 0);
  builder.keep(0, piece.text.length);
  return builder.finish();
}

/** Builds the changed form of a piece from left to right. */
export class PieceBuilder {
  readonly #from: Piece;
  #text = "";
  #start: Int32Array;
  #end: Int32Array;
  #length = 0;

  constructor(from: Piece, expectedLength: number) {
    this.#from = from;
    this.#start = new Int32Array(expectedLength);
    this.#end = new Int32Array(expectedLength);
  }

  /** Appends units [from, to) unchanged. */
  keep(from: number, to: number): void {
    this.#reserve(to - from);
    this.#text += this.#from.text.slice(from, to);
    for (let unit = from; unit < to; unit++) {
      this.#start[this.#length] = originStart(this.#from, unit);
      this.#end[this.#length++] = originEnd(this.#from, unit + 1);
    }
  }

  /** Appends `text`, every unit of which stands for all of units [from, to). */
  replace(text: string, from: number, to: number): void {
    if (text.length === 0) return;
    this.#append(text, originStart(this.#from, from), originEnd(this.#from, to));
  }

  /** Appends `text` that stands for nothing, before unit `before`. */
  insert(text: string, before: number): void {
    const origin = originStart(this.#from, before);
    this.#append(text, origin, origin);
  }

  finish(): Piece {
    const map = {
      start: this.#start.subarray(0, this.#length),
      end: this.#end.subarray(0, this.#length),
    };
    return { text: this.#text, at: 0, map };
  }

  #append(text: string, start: number, end: number): void {
    this.#reserve(text.length);
    this.#text += text;
    this.#start.fill(start, this.#length, this.#length + text.length);
    this.#end.fill(end, this.#length, this.#length + text.length);
    this.#length += text.length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#start.length) return;
    const capacity = Math.max(this.#length + more, 2 * this.#start.length);
    for (const name of ["start", "end"] as const) {
      const grown = new Int32Array(capacity);
      grown.set(name === "start" ? this.#start : this.#end);
      if (name === "start") this.#start = grown;
      else this.#end = grown;
    }
  }
}
