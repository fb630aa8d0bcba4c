/** Writes shards of activations, each whole or absent; a writer that was killed goes on after the last whole one. */
import { join } from "node:path";
import { assert } from "../base/errors.ts";
import { safetensorsPieces } from "../encoding/safetensors-pieces.ts";
import { exists, readJson } from "../files/disk.ts";
import { requireRoom } from "../files/folders.ts";
import { writePiecesAtomic } from "../files/write-pieces.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  indexName,
  plannedBytes,
  scaleName,
  type ShardEntry,
  shardFormat,
  type ShardIndex,
  shardName,
  type ShardPlan,
} from "./activation-shards.ts";
import { otherHarvest } from "./errors.ts";
import { parseIndex } from "./shard-index.ts";
import { toStored } from "./scaled-half.ts";

/** The rows of one shard. */
export interface ShardRows {
  /** `[rows, d]` by hook point. */
  readonly activations: ReadonlyMap<string, Float32Array>;
  /** `[rows]` by column. */
  readonly columns: ReadonlyMap<string, Int32Array>;
}

/** A folder of shards that is being written. */
export class ShardWriter {
  readonly folder: string;
  readonly plan: ShardPlan;
  readonly #shards: ShardEntry[];

  /** Opens or continues a folder; throws if it holds something else or the disk cannot take what is missing. */
  constructor(folder: string, plan: ShardPlan) {
    this.folder = folder;
    this.plan = plan;
    this.#shards = begun(folder, plan);
    const missing = { ...plan, shardRows: plan.shardRows.slice(this.#shards.length) };
    requireRoom(folder, plannedBytes(missing));
    this.#writeIndex();
  }

  /** Number of the shard to write next; the number of shards once all are written. */
  get next(): number {
    return this.#shards.length;
  }

  get isComplete(): boolean {
    return this.next === this.plan.shardRows.length;
  }

  /** Writes the next shard; when this returns it is on the disk and listed. */
  write({ activations, columns }: ShardRows): ShardEntry {
    const rows = this.plan.shardRows[this.next];
    assert(rows !== undefined, "more shards than were planned");
    const tensors = new Map<string, Tensor>();
    for (const [hook, width] of Object.entries(this.plan.hooks)) {
      const { stored, scale } = toStored(activations.get(hook)!, [rows, width], this.plan.dtype);
      tensors.set(hook, stored);
      tensors.set(scaleName(hook), tensor("float32", [1], Float32Array.of(scale)));
    }
    for (const name of this.plan.columns) {
      tensors.set(name, tensor("int32", [rows], columns.get(name)!));
    }
    const file = shardName(this.next);
    const written = writePiecesAtomic(join(this.folder, file), safetensorsPieces(tensors));
    const entry = { file, rows, ...written };
    this.#shards.push(entry);
    this.#writeIndex();
    return entry;
  }

  #writeIndex(): void {
    const index: ShardIndex = { format: shardFormat, plan: this.plan, shards: this.#shards };
    const bytes = new TextEncoder().encode(`${JSON.stringify(index, undefined, 1)}\n`);
    writePiecesAtomic(join(this.folder, indexName), [bytes]);
  }
}

/** Shards of the same plan that a folder already has. */
function begun(folder: string, plan: ShardPlan): ShardEntry[] {
  const path = join(folder, indexName);
  if (!exists(path)) return [];
  const index = parseIndex(folder, readJson(path));
  for (const key of ["hooks", "dtype", "columns", "shardRows", "source"] as const) {
    const found = JSON.stringify(index.plan[key]);
    const wanted = JSON.stringify(plan[key]);
    if (found !== wanted)
      throw otherHarvest(folder, `${key}: ${short(found)}, not ${short(wanted)}`);
  }
  // A listed file that someone removed, and all after it, are written again.
  const gone = index.shards.findIndex(({ file }) => !exists(join(folder, file)));
  return index.shards.slice(0, gone < 0 ? undefined : gone);
}

function short(text: string | undefined): string {
  const all = text ?? "nothing";
  return all.length > 120 ? `${all.slice(0, 120)}…` : all;
}
