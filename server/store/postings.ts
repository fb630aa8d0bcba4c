/**
 * Postings: where each latent is active, in shards that each cover a stretch of the corpus. A shard is a safetensors
 * file with `ends [d_sae]` (latent i owns entries `ends[i - 1]` to `ends[i]`), `positions` (place among all tokens of the
 * corpus, ascending within a latent) and `acts`. They are the raw material of an index: read by latents (a contiguous
 * range of every shard) or by tokens (one whole shard turned around).
 */
import { join } from "node:path";
import { safetensorsPieces } from "../encoding/safetensors-pieces.ts";
import { writePiecesAtomic } from "../files/write-pieces.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { ArrayFile } from "./array-file.ts";

/** A shard of postings, and which windows and tokens it covers. */
export interface PostingsShard {
  readonly file: string;
  readonly entries: number;
  readonly windows: readonly [from: number, to: number];
  readonly tokens: readonly [from: number, to: number];
}

/** Bytes of memory that a shard takes per entry while it is written: three columns, and two of them sorted. */
export const bytesPerEntry = 20;

/** Entries of a stretch of the corpus, in the order of its tokens. */
export class PostingsBuilder {
  readonly #d_sae: number;
  readonly #latents: Uint32Array<ArrayBuffer>;
  readonly #positions: Uint32Array<ArrayBuffer>;
  readonly #acts: Float32Array<ArrayBuffer>;
  #used = 0;

  constructor(d_sae: number, capacity: number) {
    this.#d_sae = d_sae;
    this.#latents = new Uint32Array(capacity);
    this.#positions = new Uint32Array(capacity);
    this.#acts = new Float32Array(capacity);
  }

  get entries(): number {
    return this.#used;
  }

  /** Whether so many more entries fit. */
  hasRoom(entries: number): boolean {
    return this.#used + entries <= this.#latents.length;
  }

  /** Adds the active latents of a token. */
  push(position: number, latents: Int32Array, acts: Float32Array): void {
    this.#latents.set(latents, this.#used);
    this.#acts.set(acts, this.#used);
    this.#positions.fill(position, this.#used, this.#used + latents.length);
    this.#used += latents.length;
  }

  /** Writes them sorted by latent, and forgets them. */
  write(path: string): void {
    const ends = new Uint32Array(this.#d_sae);
    for (let i = 0; i < this.#used; i++) ends[this.#latents[i]!]!++;
    for (let latent = 1; latent < ends.length; latent++) ends[latent]! += ends[latent - 1]!;
    const next = new Uint32Array(this.#d_sae);
    next.set(ends.subarray(0, -1), 1);
    const positions = new Uint32Array(this.#used);
    const acts = new Float32Array(this.#used);
    for (let i = 0; i < this.#used; i++) {
      const at = next[this.#latents[i]!]!++;
      positions[at] = this.#positions[i]!;
      acts[at] = this.#acts[i]!;
    }
    const tensors = new Map<string, Tensor>([
      ["ends", tensor("uint32", [ends.length], ends)],
      ["positions", tensor("uint32", [this.#used], positions)],
      ["acts", tensor("float32", [this.#used], acts)],
    ]);
    writePiecesAtomic(path, safetensorsPieces(tensors));
    this.#used = 0;
  }
}

/** Entries of some latents over the whole corpus: latent from + i owns `[starts[i], starts[i + 1])`. */
export interface LatentPostings {
  readonly from: number;
  readonly starts: Float64Array;
  readonly positions: Uint32Array;
  readonly acts: Float32Array;
}

/** Active latents of the tokens of one shard: token `first + i` owns `[starts[i], starts[i + 1])` of `latents`. */
export interface TokenPostings {
  readonly first: number;
  readonly starts: Uint32Array;
  readonly latents: Uint32Array;
}

/** All shards of a corpus. Files are opened for each read: nothing stays open while an index is built for hours. */
export class Postings {
  readonly #folder: string;
  readonly #d_sae: number;
  readonly shards: readonly PostingsShard[];
  /** Tokens on which each latent is active. `[d_sae]` */
  readonly counts: Uint32Array;

  constructor(folder: string, shards: readonly PostingsShard[], d_sae: number) {
    this.#folder = folder;
    this.#d_sae = d_sae;
    this.shards = shards;
    this.counts = new Uint32Array(d_sae);
    for (const shard of shards) {
      const ends = this.#read(shard, (file) => file.all("ends", "uint32"));
      for (let latent = 0; latent < d_sae; latent++)
        this.counts[latent]! += ends[latent]! - (latent === 0 ? 0 : ends[latent - 1]!);
    }
  }

  /** Everything about latents `[from, to)`. */
  ofLatents(from: number, to: number): LatentPostings {
    const starts = new Float64Array(to - from + 1);
    for (let i = 0; i < to - from; i++) starts[i + 1] = starts[i]! + this.counts[from + i]!;
    const total = starts.at(-1)!;
    const positions = new Uint32Array(total);
    const acts = new Float32Array(total);
    const next = starts.slice(0, -1);
    for (const shard of this.shards) {
      this.#read(shard, (file) => {
        const ends = file.rows("ends", "uint32", Math.max(0, from - 1), to);
        const first = from === 0 ? 0 : ends[0]!;
        const last = ends.at(-1)!;
        const found = file.rows("positions", "uint32", first, last);
        const values = file.rows("acts", "float32", first, last);
        const own = from === 0 ? ends : ends.subarray(1);
        let at = 0;
        for (let i = 0; i < own.length; i++) {
          const end = own[i]! - first;
          positions.set(found.subarray(at, end), next[i]);
          acts.set(values.subarray(at, end), next[i]);
          next[i]! += end - at;
          at = end;
        }
      });
    }
    return { from, starts, positions, acts };
  }

  /** One shard by tokens. Latents of a token come in ascending order. */
  ofTokens(shard: PostingsShard): TokenPostings {
    const [first, end] = shard.tokens;
    return this.#read(shard, (file) => {
      const ends = file.all("ends", "uint32");
      const positions = file.all("positions", "uint32");
      const starts = new Uint32Array(end - first + 1);
      for (const position of positions) starts[position - first + 1]!++;
      for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
      const next = starts.slice(0, -1);
      const latents = new Uint32Array(positions.length);
      let entry = 0;
      for (let latent = 0; latent < this.#d_sae; latent++)
        for (; entry < ends[latent]!; entry++) latents[next[positions[entry]! - first]!++] = latent;
      return { first, starts, latents };
    });
  }

  #read<T>({ file }: PostingsShard, use: (file: ArrayFile) => T): T {
    const opened = new ArrayFile(join(this.#folder, file));
    try {
      return use(opened);
    } finally {
      opened.close();
    }
  }
}
