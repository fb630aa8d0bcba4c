/**
 * Byte-pair merges: which two neighbouring tokens become one, and in which order.
 *
 * Merging takes time n log n in the length of a piece (a heap over a linked list), because tokenizers without
 * pre-split (Gemma, Llama-2) hand over whole files as one piece.
 */

/** From pairs of numbers to ranks: open addressing in typed arrays; a Map of numbers takes 4 times the memory. */
export class MergeTable {
  readonly #mask: number;
  /** Per slot: left + 1 (0 is free), right, rank, result + 1 (0 is not asked for yet). */
  readonly #slots: Int32Array;
  readonly #resultOf: (left: number, right: number) => number;

  /** `resultOf`: what a pair becomes; asked once, when needed, because spelling all results takes seconds for Gemma. */
  constructor(nMerges: number, resultOf: (left: number, right: number) => number) {
    let capacity = 16;
    while (capacity < 2 * nMerges) capacity *= 2;
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(4 * capacity);
    this.#resultOf = resultOf;
  }

  /** Sets the rank of a pair; of two entries for a pair the later counts, as in the tokenizers library. */
  set(left: number, right: number, rank: number): void {
    const slot = this.#slot(left, right);
    this.#slots[slot] = left + 1;
    this.#slots[slot + 1] = right;
    this.#slots[slot + 2] = rank;
  }

  /** Rank of a pair, -1 if it does not merge. */
  rank(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return this.#slots[slot] === 0 ? -1 : (this.#slots[slot + 2] as number);
  }

  /** The token that a pair with a rank becomes. */
  result(left: number, right: number): number {
    const slot = this.#slot(left, right);
    const known = this.#slots[slot + 3] as number;
    if (known > 0) return known - 1;
    const result = this.#resultOf(left, right);
    this.#slots[slot + 3] = result + 1;
    return result;
  }

  #slot(left: number, right: number): number {
    const slots = this.#slots;
    let at = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    at = (at ^ (at >>> 15)) & this.#mask;
    for (;;) {
      const slot = 4 * at;
      if (slots[slot] === 0 || (slots[slot] === left + 1 && slots[slot + 1] === right)) return slot;
      at = (at + 1) & this.#mask;
    }
  }
}

/** A sequence of tokens being merged; `begin` and `end` are their byte ranges. Reused from piece to piece. */
export class MergeSequence {
  id = new Int32Array(256);
  begin = new Int32Array(256);
  end = new Int32Array(256);
  #next = new Int32Array(256);
  #previous = new Int32Array(256);
  /** Rank × 2^32 + position: the smallest is the merge to do, leftmost among equals. */
  #heap = new Float64Array(768);
  #heapSize = 0;
  length = 0;

  clear(): void {
    this.length = 0;
  }

  push(id: number, begin: number, end: number): void {
    if (this.length === this.id.length) this.#grow();
    this.id[this.length] = id;
    this.begin[this.length] = begin;
    this.end[this.length++] = end;
  }

  /** Merges until no pair has a rank, and closes the gaps. */
  merge(table: MergeTable): void {
    const { id, end, length } = this;
    const next = this.#next;
    const previous = this.#previous;
    this.#heapSize = 0;
    for (let at = 0; at < length; at++) {
      next[at] = at + 1;
      previous[at] = at - 1;
      if (at > 0) this.#offer(table, at - 1, at);
    }
    while (this.#heapSize > 0) {
      const key = this.#pop();
      const left = key % 0x1_0000_0000;
      const right = next[left] as number;
      // Stale entries: the left token is gone (-1), or one of the two has become another token since.
      if (id[left] === -1 || right === length) continue;
      const leftId = id[left] as number;
      const rightId = id[right] as number;
      if (table.rank(leftId, rightId) !== (key - left) / 0x1_0000_0000) continue;
      id[left] = table.result(leftId, rightId);
      end[left] = end[right] as number;
      id[right] = -1;
      const after = next[right] as number;
      next[left] = after;
      if (after < length) {
        previous[after] = left;
        this.#offer(table, left, after);
      }
      const before = previous[left] as number;
      if (before >= 0) this.#offer(table, before, left);
    }
    this.#compact();
  }

  #compact(): void {
    const { id, begin, end } = this;
    let to = 0;
    for (let at = 0; at < this.length; at = this.#next[at] as number) {
      id[to] = id[at] as number;
      begin[to] = begin[at] as number;
      end[to++] = end[at] as number;
    }
    this.length = to;
  }

  #offer(table: MergeTable, left: number, right: number): void {
    const rank = table.rank(this.id[left] as number, this.id[right] as number);
    if (rank < 0) return;
    const heap = this.#heap;
    const key = rank * 0x1_0000_0000 + left;
    let at = this.#heapSize++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as number) <= key) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = key;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0] as number;
    const last = heap[--this.#heapSize] as number;
    const size = this.#heapSize;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if ((heap[child] as number) >= last) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #grow(): void {
    const capacity = 2 * this.id.length;
    this.id = grown(this.id, capacity);
    this.begin = grown(this.begin, capacity);
    this.end = grown(this.end, capacity);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    // Every token is offered once at the start and every merge offers two pairs more.
    this.#heap = new Float64Array(3 * capacity);
  }
}

function grown(array: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const result = new Int32Array(capacity);
  result.set(array);
  return result;
}
