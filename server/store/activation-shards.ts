/**
 * The store room: what is computed once and kept on disk for long: shards of activations, and the token windows that they
 * came from. It knows layouts, hashes and sizes; it does not know how activations are computed or what is trained on them.
 * Start reading here, then `shard-writer.ts` and `shard-reader.ts`.
 *
 * A folder of shards has `shard-00000.safetensors`, `shard-00001.safetensors`, … and `activations.json`, which lists those
 * that are whole. A shard is an ordinary safetensors file (little-endian, JSON header) that any tool reads: per hook
 * point `NAME` `[rows, d]` as F32, F16 or BF16 and `NAME.scale` `[1]`, where activation = stored · scale; and whole-number
 * columns such as `token` and `position` `[rows]`.
 */
import { safetensorsHeader, type TensorShape } from "../encoding/safetensors-pieces.ts";
import { bytesPerElement, sizeOf } from "../tensor/tensor.ts";

/** Element types that shards can have. */
export type ShardDType = "float32" | "float16" | "bfloat16";

/** All that is decided before the first shard is written; a folder is continued only under an equal plan. */
export interface ShardPlan {
  /** Width by hook point. */
  readonly hooks: Readonly<Record<string, number>>;
  readonly dtype: ShardDType;
  /** Names of whole-number columns, one entry per row. */
  readonly columns: readonly string[];
  /** Rows of each shard. */
  readonly shardRows: readonly number[];
  /** What was run on what, for people and for comparison: hashes of model and tokens, policies. */
  readonly source: Readonly<Record<string, unknown>>;
}

/** A whole shard, as `activations.json` lists it. */
export interface ShardEntry {
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** `activations.json`. */
export interface ShardIndex {
  readonly format: typeof shardFormat;
  readonly plan: ShardPlan;
  readonly shards: readonly ShardEntry[];
}

/** Names the layout; another layout gets another number. */
export const shardFormat = "latent-workbench-activations-1";

/** The index of a folder of shards. */
export const indexName = "activations.json";

/** File name of a shard. */
export function shardName(shard: number): string {
  return `shard-${String(shard).padStart(5, "0")}.safetensors`;
}

/** Name of the tensor that holds the scale of a hook point's activations. */
export function scaleName(hook: string): string {
  return `${hook}.scale`;
}

/** Types and shapes of a shard's tensors. */
export function shardShapes(plan: ShardPlan, rows: number): Map<string, TensorShape> {
  const shapes = new Map<string, TensorShape>();
  for (const [hook, width] of Object.entries(plan.hooks)) {
    shapes.set(hook, { dtype: plan.dtype, dims: [rows, width] });
    shapes.set(scaleName(hook), { dtype: "float32", dims: [1] });
  }
  for (const name of plan.columns) shapes.set(name, { dtype: "int32", dims: [rows] });
  return shapes;
}

/** Bytes of all shards of a plan on disk, exactly. */
export function plannedBytes(plan: ShardPlan): number {
  // All shards of a size are equal, and there are few sizes.
  const bySize = new Map<number, number>();
  let bytes = 0;
  for (const rows of plan.shardRows) {
    const known = bySize.get(rows) ?? shardBytes(plan, rows);
    bySize.set(rows, known);
    bytes += known;
  }
  return bytes;
}

function shardBytes(plan: ShardPlan, rows: number): number {
  const shapes = shardShapes(plan, rows);
  let bytes = safetensorsHeader(shapes).length;
  for (const { dtype, dims } of shapes.values()) bytes += sizeOf(dims) * bytesPerElement[dtype];
  return bytes;
}
