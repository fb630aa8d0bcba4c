/** Rows that exist already: shards on disk. */
import { printHookPoint, parseHookPoint } from "../../lm/hook-points.ts";
import { ShardReader } from "../../store/shard-reader.ts";
import { type ActivationSource, ShuffledBuffer } from "../../training/buffer.ts";
import { hookNeeded } from "./errors.ts";
import type { RunData } from "./open-data.ts";
import type { DataConfig } from "./run-config.ts";

type Kind<K extends DataConfig["kind"]> = Extract<DataConfig, { kind: K }>;

/** Rows that are read and shuffled together. */
export const pieceRows = 256;

/** Opens a folder of shards. */
export async function openShards(config: Kind<"shards">): Promise<RunData> {
  const reader = new ShardReader(config.folder);
  const { plan } = reader.index;
  const hooks = Object.keys(plan.hooks);
  const facts = plan.source["metadata"] as Readonly<Record<string, unknown>> | undefined;
  return {
    config,
    batchRows: undefined,
    inputs: { shards: reader.key },
    hook(name) {
      if (name === null && hooks.length > 1) throw hookNeeded(config.folder, hooks);
      const proper = name === null ? hooks[0]! : printHookPoint(parseHookPoint(name));
      return { name: proper, width: reader.width(proper) };
    },
    metadata: (hook) => ({ ...facts, hook_name: hook }),
    async open(wanted, options) {
      const source: ActivationSource = {
        widths: new Map(wanted.map((hook) => [hook, reader.width(hook)])),
        pieceRows: piecesOf(reader.rows),
        async read(piece, signal) {
          signal?.throwIfAborted();
          // Reading is synchronous: let signals and messages in between.
          await new Promise(setImmediate);
          const from = piece * pieceRows;
          const to = Math.min(from + pieceRows, reader.rows);
          return new Map(wanted.map((hook) => [hook, reader.read(hook, from, to)]));
        },
        close: async () => reader.close(),
      };
      const batches = new ShuffledBuffer(source, options);
      return { batches, bytes: batches.bytes };
    },
    close: async () => reader.close(),
  };
}

/** Rows of each piece, where there are so many in all. */
export function piecesOf(rows: number): Int32Array {
  const nPieces = Math.ceil(rows / pieceRows);
  return Int32Array.from({ length: nPieces }, (_, i) => Math.min(pieceRows, rows - i * pieceRows));
}
