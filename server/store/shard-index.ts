/** Reads `activations.json`. */
import {
  shardFormat,
  type ShardEntry,
  type ShardIndex,
  type ShardPlan,
} from "./activation-shards.ts";
import { noShards } from "./errors.ts";

/** The index of a folder, checked; throws a user error for anything else. */
export function parseIndex(folder: string, value: unknown): ShardIndex {
  const index = value as Partial<ShardIndex> | null;
  if (typeof index !== "object" || index === null || index.format !== shardFormat) {
    throw noShards(folder, `format ${JSON.stringify((index as ShardIndex | null)?.format)}`);
  }
  if (!isPlan(index.plan)) throw noShards(folder, "an activations.json without a plan");
  const { plan, shards } = index;
  if (!Array.isArray(shards) || shards.length > plan.shardRows.length || !shards.every(isEntry)) {
    throw noShards(folder, "an activations.json whose list of shards is no list of shards");
  }
  shards.forEach(({ file, rows }: ShardEntry, i) => {
    if (rows !== plan.shardRows[i]) {
      throw noShards(folder, `${file} with ${rows} rows where ${plan.shardRows[i]} were planned`);
    }
  });
  return { format: shardFormat, plan, shards };
}

function isPlan(value: unknown): value is ShardPlan {
  const plan = value as Partial<ShardPlan> | null | undefined;
  return (
    typeof plan === "object" &&
    plan !== null &&
    ["float32", "float16", "bfloat16"].includes(plan.dtype ?? "") &&
    isObject(plan.hooks) &&
    Object.values(plan.hooks).every(isCount) &&
    Array.isArray(plan.columns) &&
    Array.isArray(plan.shardRows) &&
    plan.shardRows.every(isCount) &&
    isObject(plan.source)
  );
}

/** A file is a name, never a way out of the folder. */
function isEntry(value: unknown): value is ShardEntry {
  const entry = value as Partial<ShardEntry> | null;
  return (
    typeof entry === "object" &&
    entry !== null &&
    /^shard-\d+\.safetensors$/.test(entry.file ?? "") &&
    isCount(entry.rows) &&
    isCount(entry.bytes) &&
    /^[0-9a-f]{64}$/.test(entry.sha256 ?? "")
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
