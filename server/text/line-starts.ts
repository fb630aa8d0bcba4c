/** Between offsets of a text and lines and characters, all in UTF-16 code units as editors count them. */

/** A place in a text as editors count it. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

/** Starts of lines, for quick conversion; CR LF, LF and CR end a line, as in LSP. */
export class LineStarts {
  readonly #starts: number[] = [0];
  readonly #length: number;

  constructor(text: string) {
    this.#length = text.length;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === 10 || (unit === 13 && text.charCodeAt(at + 1) !== 10)) this.#starts.push(at + 1);
    }
  }

  /** The position of an offset; offsets past the end are the end. */
  position(offset: number): Position {
    const at = Math.min(Math.max(0, offset), this.#length);
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] as number) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low, character: at - (this.#starts[low] as number) };
  }

  /** Offset of the start of a line; the text's end for lines past it. */
  startOf(line: number): number {
    return this.#starts[line] ?? this.#length;
  }
}
