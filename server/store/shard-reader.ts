/** Reads shards of activations by range of rows; every shard's hash is checked when it is first touched. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { assert } from "../base/errors.ts";
import { exists, fileSize, isFolder, readJson } from "../files/disk.ts";
import { sha256OfFile } from "../files/folders.ts";
import { openSafetensors, type Weights } from "../files/weights.ts";
import { indexName, scaleName, type ShardEntry, type ShardIndex } from "./activation-shards.ts";
import { damagedShard, hookNotInShards, noShards, unfinishedHarvest } from "./errors.ts";
import { parseIndex } from "./shard-index.ts";

/** Files that are kept open at most. */
const openFiles = 16;

/** A finished folder of shards. Rows are numbered through all of them. */
export class ShardReader {
  readonly folder: string;
  readonly index: ShardIndex;
  /** All rows. */
  readonly rows: number;
  readonly #starts: readonly number[];
  readonly #checked = new Set<number>();
  readonly #open = new Map<number, Weights>();

  /** Opens a folder that `harvest` has finished. */
  constructor(folder: string) {
    const path = join(folder, indexName);
    if (!isFolder(folder) || !exists(path)) throw noShards(folder, "none");
    this.folder = folder;
    this.index = parseIndex(folder, readJson(path));
    const { plan, shards } = this.index;
    if (shards.length < plan.shardRows.length) {
      throw unfinishedHarvest(folder, shards.length, plan.shardRows.length);
    }
    const starts = [0];
    for (const { rows } of shards) starts.push(starts.at(-1)! + rows);
    this.#starts = starts;
    this.rows = starts.at(-1)!;
  }

  /** Width of a hook point's rows; throws with what there is. */
  width(hook: string): number {
    const width = this.index.plan.hooks[hook];
    if (width === undefined) {
      throw hookNotInShards(hook, this.folder, Object.keys(this.index.plan.hooks));
    }
    return width;
  }

  /** A key for the contents: hash of the hashes of all shards. */
  get key(): string {
    const hash = createHash("sha256");
    for (const { sha256 } of this.index.shards) hash.update(sha256);
    return hash.digest("hex");
  }

  /** Activations of rows [from, to). `-> [to - from, d]` */
  read(hook: string, from: number, to: number): Float32Array {
    const width = this.width(hook);
    const out = new Float32Array((to - from) * width);
    this.#eachPart(from, to, (weights, part) => {
      const rows = weights.readRows(hook, part.from, part.to);
      const scale = weights.readFloat32(scaleName(hook))[0]!;
      if (scale !== 1) for (let i = 0; i < rows.length; i++) rows[i]! *= scale;
      out.set(rows, (part.at - from) * width);
    });
    return out;
  }

  /** A whole-number column of rows [from, to); exact up to 2^24. `-> [to - from]` */
  readColumn(name: string, from: number, to: number): Int32Array {
    const out = new Int32Array(to - from);
    this.#eachPart(from, to, (weights, part) => {
      out.set(weights.readRows(name, part.from, part.to), part.at - from);
    });
    return out;
  }

  close(): void {
    for (const weights of this.#open.values()) weights.close();
    this.#open.clear();
  }

  /** Calls `visit` for every shard that has some of the rows, with the range in it and the number of its first row. */
  #eachPart(
    from: number,
    to: number,
    visit: (weights: Weights, part: { from: number; to: number; at: number }) => void,
  ): void {
    assert(0 <= from && from <= to && to <= this.rows, `rows ${from} to ${to} of ${this.rows}`);
    let shard = this.#shardOf(from);
    for (let at = from; at < to; shard++) {
      const start = this.#starts[shard]!;
      const end = Math.min(to, this.#starts[shard + 1]!);
      if (end > at) visit(this.#weights(shard), { from: at - start, to: end - start, at });
      at = Math.max(at, end);
    }
  }

  #shardOf(row: number): number {
    let low = 0;
    let high = this.index.shards.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  #weights(shard: number): Weights {
    const known = this.#open.get(shard);
    if (known) {
      // Last used last.
      this.#open.delete(shard);
      this.#open.set(shard, known);
      return known;
    }
    const entry = this.index.shards[shard]!;
    const path = join(this.folder, entry.file);
    if (!this.#checked.has(shard)) checkShard(path, entry);
    this.#checked.add(shard);
    const weights = openSafetensors(path);
    this.#open.set(shard, weights);
    const oldest = this.#open.keys().next().value;
    if (this.#open.size > openFiles && oldest !== undefined) {
      this.#open.get(oldest)?.close();
      this.#open.delete(oldest);
    }
    return weights;
  }
}

function checkShard(path: string, { bytes, sha256 }: ShardEntry): void {
  if (!exists(path)) throw damagedShard(path, "it is not there");
  const size = fileSize(path);
  if (size !== bytes) throw damagedShard(path, `it has ${size} bytes, not ${bytes}`);
  const found = sha256OfFile(path);
  if (found !== sha256) {
    throw damagedShard(path, `its sha256 is ${found.slice(0, 12)}…, not ${sha256.slice(0, 12)}…`);
  }
}
