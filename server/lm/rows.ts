/** Growing rows of f32 by position: a KV cache's keys, or kept activations. */
import { assert } from "../base/errors.ts";

/** Rows of positions [start, end), appended at the end and cut back from it. */
export class Rows {
  readonly width: number;
  readonly start: number;
  #end: number;
  #data: Float32Array<ArrayBuffer> = new Float32Array(0);

  constructor(width: number, start = 0) {
    this.width = width;
    this.start = start;
    this.#end = start;
  }

  get end(): number {
    return this.#end;
  }

  /** Bytes held, spare room included. */
  get bytes(): number {
    return this.#data.byteLength;
  }

  /** Forgets the rows from `end` on. */
  truncate(end: number): void {
    this.#end = Math.max(this.start, Math.min(this.#end, end));
  }

  /** Gives the memory back. */
  free(): void {
    this.#end = this.start;
    this.#data = new Float32Array(0);
  }

  /** Adds whole rows at the end. Grows by half as much again, so that typing does not copy the cache at every key. */
  append(rows: Float32Array): void {
    assert(rows.length % this.width === 0, `${rows.length} elements are no rows of ${this.width}`);
    const used = (this.#end - this.start) * this.width;
    const needed = used + rows.length;
    if (needed > this.#data.length) {
      const grown = new Float32Array(used === 0 ? needed : Math.max(needed, Math.ceil(used * 1.5)));
      grown.set(this.#data.subarray(0, used));
      this.#data = grown;
    }
    this.#data.set(rows, used);
    this.#end += rows.length / this.width;
  }

  /** Rows [from, to) in place: valid until the next append or truncate. */
  view(from: number, to: number = this.#end): Float32Array<ArrayBuffer> {
    assert(
      this.start <= from && from <= to && to <= this.#end,
      `rows ${from} to ${to} of [${this.start}, ${this.#end})`,
    );
    return this.#data.subarray((from - this.start) * this.width, (to - this.start) * this.width);
  }
}
