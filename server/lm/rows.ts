/** Growing rows of numbers by position: a KV cache's keys, or kept activations. */
import { assert } from "../base/errors.ts";
import { type Floats, floatsOf, type Precision } from "./precision.ts";

/** Rows of positions [start, end), appended at the end and cut back from it. */
export class Rows<A extends Floats = Float32Array<ArrayBuffer>> {
  readonly width: number;
  readonly start: number;
  readonly #precision: Precision;
  #end: number;
  #data: A;

  constructor(width: number, start = 0, precision: Precision = "float32") {
    this.width = width;
    this.start = start;
    this.#end = start;
    this.#precision = precision;
    this.#data = this.#allocate(0);
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
    this.#data = this.#allocate(0);
  }

  /**
   * Makes room for rows up to `end`, so that appending to there allocates nothing more. What is thrown away on growing counts:
   * V8 collects its whole heap for every 64 MB of it.
   */
  reserve(end: number): void {
    const used = (this.#end - this.start) * this.width;
    const needed = (end - this.start) * this.width;
    if (needed <= this.#data.length) return;
    const grown = this.#allocate(used === 0 ? needed : Math.max(needed, Math.ceil(used * 1.5)));
    grown.set(this.#data.subarray(0, used));
    this.#data = grown;
  }

  /** Adds whole rows at the end. Grows by half as much again, so that typing does not copy the cache at every key. */
  append(rows: Floats): void {
    assert(rows.length % this.width === 0, `${rows.length} elements are no rows of ${this.width}`);
    const used = (this.#end - this.start) * this.width;
    const end = this.#end + rows.length / this.width;
    this.reserve(end);
    this.#data.set(rows, used);
    this.#end = end;
  }

  /** Rows [from, to) in place: valid until the next append or truncate. */
  view(from: number, to: number = this.#end): A {
    assert(
      this.start <= from && from <= to && to <= this.#end,
      `rows ${from} to ${to} of [${this.start}, ${this.#end})`,
    );
    const { start, width } = this;
    return this.#data.subarray((from - start) * width, (to - start) * width) as A;
  }

  #allocate(length: number): A {
    return new floatsOf[this.#precision](length) as A;
  }
}
