/**
 * Shuffled batches of activations, as a pure function of (seed, number of the batch): a run that was killed gets the same
 * batches again without anything of the buffer having been stored.
 *
 * Activations come in pieces (the rows of one token window, a stretch of a shard), whose sizes are known before any is
 * computed. Every epoch orders the pieces by a permutation of its own. Consecutive pieces of that order make a chunk; the rows of
 * a chunk are shuffled, and each half of them is mixed with the neighbouring half of the chunk before or after: group g is the
 * first half of chunk g with the second half of chunk g − 1, shuffled again. Batches are cut from the groups one after the
 * other. So a row may stand anywhere in a stretch as long as two chunks, and three chunks are in memory: two that are
 * being read and the one that is being filled, a little at every batch, so that no step waits for a whole chunk.
 */
import { assert } from "../base/errors.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Downstream } from "./downstream.ts";
import { permutation } from "./permutation.ts";

/** Where activations come from. Reading a piece twice gives the same numbers. */
export interface ActivationSource {
  /** Width of a row by hook point. */
  readonly widths: ReadonlyMap<string, number>;
  /** Rows of each piece. */
  readonly pieceRows: Int32Array;
  /** Rows of a piece by hook point, `[rows, d]`. */
  read(piece: number, signal?: AbortSignal): Promise<ReadonlyMap<string, Float32Array>>;
  close(): Promise<void>;
}

/** Rows by hook point, `[batch, d]`. */
export type Batch = ReadonlyMap<string, Tensor<"float32">>;

/** Batches by number. */
export interface Batches {
  /** Batches that there are; Infinity where they begin again. */
  readonly count: number;
  /** The batch's rows, valid until the next call. */
  batch(index: number, signal?: AbortSignal): Promise<Batch>;
  /** The rest of the model after a hook point, for the batch that was given last; only where batches are whole sequences. */
  downstream?(hook: string): Downstream;
  close(): Promise<void>;
}

/** All that decides the order of rows. */
export interface BufferOptions {
  readonly seed: number;
  /** Rows in memory at most, about. */
  readonly rows: number;
  /** Rows of a batch. */
  readonly batch: number;
  /** How often the pieces may be gone through; 0 for without end. */
  readonly epochs: number;
  /** Batches that will be asked for: nothing is read ahead for later ones. */
  readonly batches: number;
  /** Told of every piece that is read, with the share of the chunk that is waited for. */
  readonly onRead?: (share: number) => void;
  /** Batches of whole sequences, as losses behind the SAE need them; rows are about as many as `batch` says. */
  readonly sequences?: boolean;
}

interface Chunk {
  readonly rows: number;
  readonly pieces: Int32Array;
  readonly data: Map<string, Float32Array>;
  /** Pieces and rows read so far. */
  read: number;
  filled: number;
}

/** Rows of a group: number of the row in chunk g, or in chunk g − 1 as −1 − row. */
interface Group {
  readonly index: number;
  readonly rows: Int32Array;
}

/** Batches of shuffled rows. */
export class ShuffledBuffer implements Batches {
  readonly count: number;
  readonly #source: ActivationSource;
  readonly #options: BufferOptions;
  readonly #piecesPerChunk: number;
  readonly #chunkCount: number;
  /** Whether neighbouring chunks are mixed; a chunk that holds everything is an epoch by itself. */
  readonly #mixes: boolean;
  readonly #chunks = new Map<number, Chunk>();
  readonly #spare: Map<string, Float32Array>[] = [];
  readonly #capacity: number;
  /** First row of each group in the stream of rows; grows as groups are reached. */
  readonly #starts: number[] = [0];
  readonly #orders = new Map<number, Int32Array>();
  readonly #batch: Map<string, Float32Array<ArrayBuffer>>;
  #group: Group | undefined;

  constructor(source: ActivationSource, options: BufferOptions) {
    const { pieceRows } = source;
    const perEpoch = pieceRows.reduce((sum, rows) => sum + rows, 0);
    assert(perEpoch > 0, "a source without rows");
    this.#source = source;
    this.#options = options;
    const meanRows = perEpoch / pieceRows.length;
    this.#piecesPerChunk = Math.min(
      pieceRows.length,
      Math.max(1, Math.round(options.rows / 3 / meanRows)),
    );
    this.#mixes = this.#piecesPerChunk < pieceRows.length;
    this.#chunkCount =
      options.epochs === 0
        ? Infinity
        : Math.ceil((options.epochs * pieceRows.length) / this.#piecesPerChunk);
    this.count =
      options.epochs === 0 ? Infinity : Math.floor((options.epochs * perEpoch) / options.batch);
    // No chunk has more rows than the largest pieces together.
    const largest = pieceRows.toSorted().toReversed().subarray(0, this.#piecesPerChunk);
    this.#capacity = largest.reduce((sum, rows) => sum + rows, 0);
    this.#batch = new Map(
      [...source.widths].map(([hook, width]) => [hook, new Float32Array(options.batch * width)]),
    );
  }

  /** Bytes that chunks take at most, known before anything is read. */
  get bytes(): number {
    let width = 0;
    for (const each of this.#source.widths.values()) width += each;
    return (this.#mixes ? 3 : 1) * this.#capacity * width * 4;
  }

  async batch(index: number, signal?: AbortSignal): Promise<Batch> {
    const { batch, batches } = this.#options;
    assert(index < this.count, `batch ${index} of ${this.count}`);
    const from = index * batch;
    const lastGroup = this.#groupOf(Math.min(batches, this.count) * batch - 1);
    for (let done = 0; done < batch;) {
      const at = this.#groupOf(from + done);
      await this.#enter(at, signal);
      const { rows } = this.#group!;
      const first = from + done - this.#starts[at]!;
      const n = Math.min(batch - done, rows.length - first);
      this.#copy(rows.subarray(first, first + n), done);
      done += n;
      if (at < lastGroup) await this.#readAhead(at + 1, (first + n) / rows.length, signal);
    }
    return new Map(
      [...this.#batch].map(([hook, data]) => [
        hook,
        tensor("float32", [batch, this.#source.widths.get(hook)!], data),
      ]),
    );
  }

  async close(): Promise<void> {
    this.#chunks.clear();
    this.#spare.length = 0;
    await this.#source.close();
  }

  /** Makes a group the current one: reads what is missing of its two chunks and drops the others. */
  async #enter(index: number, signal?: AbortSignal): Promise<void> {
    if (this.#group?.index === index) return;
    for (const [at, chunk] of this.#chunks) {
      if (at === this.#place(index - 1) || at === this.#place(index)) continue;
      this.#chunks.delete(at);
      this.#spare.push(chunk.data);
    }
    if (this.#mixes && index > 0 && index - 1 < this.#chunkCount) {
      await this.#fill(index - 1, 1, signal);
    }
    if (index < this.#chunkCount) await this.#fill(index, 1, signal);
    this.#group = { index, rows: this.#groupRows(index) };
  }

  async #readAhead(chunk: number, share: number, signal?: AbortSignal): Promise<void> {
    if (chunk < this.#chunkCount) await this.#fill(chunk, share, signal);
  }

  /** Reads a share of a chunk's pieces. A cancelled call leaves whole pieces. */
  async #fill(index: number, share: number, signal?: AbortSignal): Promise<void> {
    const chunk = this.#chunks.get(this.#place(index)) ?? this.#newChunk(index);
    const wanted = Math.ceil(chunk.pieces.length * share);
    while (chunk.read < wanted) {
      const piece = chunk.pieces[chunk.read]!;
      const rows = await this.#source.read(piece, signal);
      for (const [hook, width] of this.#source.widths) {
        chunk.data.get(hook)!.set(rows.get(hook)!, chunk.filled * width);
      }
      chunk.filled += this.#source.pieceRows[piece]!;
      chunk.read++;
      this.#options.onRead?.(chunk.read / wanted);
    }
  }

  #newChunk(index: number): Chunk {
    const pieces = this.#piecesOf(index);
    const data =
      this.#spare.pop() ??
      new Map(
        [...this.#source.widths].map(([hook, width]) => [
          hook,
          new Float32Array(this.#capacity * width),
        ]),
      );
    const chunk = { pieces, data, rows: this.#rowsOf(pieces), read: 0, filled: 0 };
    this.#chunks.set(this.#place(index), chunk);
    return chunk;
  }

  /** Where a chunk is kept. If one holds everything it is read once, and only its rows are shuffled in every epoch. */
  #place(chunk: number): number {
    return this.#mixes ? chunk : 0;
  }

  /** Pieces of a chunk: a stretch of the endless sequence of epochs. */
  #piecesOf(chunk: number): Int32Array {
    const nPieces = this.#source.pieceRows.length;
    if (!this.#mixes) return Int32Array.from({ length: nPieces }, (_, piece) => piece);
    const { epochs } = this.#options;
    const from = chunk * this.#piecesPerChunk;
    const end = epochs === 0 ? Infinity : epochs * nPieces;
    const to = Math.min(from + this.#piecesPerChunk, end);
    return Int32Array.from({ length: to - from }, (_, i) => {
      const at = from + i;
      return this.#order(Math.floor(at / nPieces))[at % nPieces]!;
    });
  }

  /** Order of the pieces in an epoch; the last two are kept. */
  #order(epoch: number): Int32Array {
    const known = this.#orders.get(epoch);
    if (known) return known;
    const order = permutation(this.#source.pieceRows.length, this.#options.seed, 1, epoch);
    this.#orders.set(epoch, order);
    for (const old of this.#orders.keys()) if (old < epoch - 1) this.#orders.delete(old);
    return order;
  }

  #rowsOf(pieces: Int32Array): number {
    return pieces.reduce((sum, piece) => sum + this.#source.pieceRows[piece]!, 0);
  }

  /** The group that has a row of the stream. */
  #groupOf(row: number): number {
    while (this.#starts.at(-1)! <= row) {
      const group = this.#starts.length - 1;
      this.#starts.push(this.#starts.at(-1)! + this.#groupSize(group));
    }
    let low = 0;
    let high = this.#starts.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  #groupSize(group: number): number {
    const own = group < this.#chunkCount ? this.#rowsOf(this.#piecesOf(group)) : 0;
    if (!this.#mixes) return own;
    const before = group > 0 ? this.#rowsOf(this.#piecesOf(group - 1)) : 0;
    return Math.ceil(own / 2) + Math.floor(before / 2);
  }

  #groupRows(group: number): Int32Array {
    const { seed } = this.#options;
    const own = this.#chunkRows(group);
    if (!this.#mixes) return own;
    const before = group > 0 ? this.#chunkRows(group - 1) : new Int32Array(0);
    const early = own.subarray(0, Math.ceil(own.length / 2));
    const late = before.subarray(Math.ceil(before.length / 2));
    return permutation(early.length + late.length, seed, 3, group).map((at) =>
      at < early.length ? early[at]! : -1 - late[at - early.length]!,
    );
  }

  /** Shuffled numbers of a chunk's rows. */
  #chunkRows(chunk: number): Int32Array {
    if (chunk >= this.#chunkCount) return new Int32Array(0);
    return permutation(this.#rowsOf(this.#piecesOf(chunk)), this.#options.seed, 2, chunk);
  }

  #copy(rows: Int32Array, at: number): void {
    const group = this.#group!.index;
    for (const [hook, out] of this.#batch) {
      const width = this.#source.widths.get(hook)!;
      const own = this.#chunks.get(this.#place(group))?.data.get(hook);
      const before = this.#chunks.get(this.#place(group - 1))?.data.get(hook);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        const data = row >= 0 ? own! : before!;
        const from = (row >= 0 ? row : -1 - row) * width;
        out.set(data.subarray(from, from + width), (at + i) * width);
      }
    }
  }
}
