/** Rows that exist already: shards on disk, and decoder rows of an SAE. */
import { printHookPoint, parseHookPoint } from "../../lm/hook-points.ts";
import { hashWeights } from "../../files/locations.ts";
import { saeId } from "../../sae/sae-id.ts";
import { loadSae } from "../../sae/load.ts";
import { ShardReader } from "../../store/shard-reader.ts";
import { type ActivationSource, ShuffledBuffer } from "../../training/buffer.ts";
import { saePath } from "../names.ts";
import { noHookHere, hookNeeded } from "./errors.ts";
import type { RunData } from "./open-data.ts";
import type { DataConfig } from "./run-config.ts";

type Kind<K extends DataConfig["kind"]> = Extract<DataConfig, { kind: K }>;

/** Rows that are read and shuffled together. */
const pieceRows = 256;

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

/** The one name that decoder rows have. */
const rowsName = "W_dec";

/** Opens an SAE's decoder rows, each scaled to norm 1. */
export async function openDecoderRows(config: Kind<"decoder-rows">): Promise<RunData> {
  const path = saePath(config.sae);
  const { rows, width, facts } = await unitDecoderRows(path);
  return {
    config: { ...config, sae: path },
    batchRows: undefined,
    inputs: { sae: hashWeights(path) },
    hook(name) {
      if (name !== null && name !== rowsName) throw noHookHere(name);
      return { name: rowsName, width };
    },
    metadata: () => facts,
    async open(wanted, options) {
      const source: ActivationSource = {
        widths: new Map(wanted.map((hook) => [hook, width])),
        pieceRows: piecesOf(rows.length / width),
        async read(piece, signal) {
          signal?.throwIfAborted();
          const from = piece * pieceRows * width;
          const part = rows.subarray(from, from + pieceRows * width);
          return new Map(wanted.map((hook) => [hook, part]));
        },
        close: async () => {},
      };
      const batches = new ShuffledBuffer(source, options);
      return { batches, bytes: batches.bytes + rows.byteLength };
    },
    close: async () => {},
  };
}

async function unitDecoderRows(path: string): Promise<{
  rows: Float32Array;
  width: number;
  facts: Readonly<Record<string, unknown>>;
}> {
  const parent = await loadSae(path);
  try {
    const width = parent.config.d_out;
    const rows = parent.parameters.get("W_dec")!.readFloat32();
    for (let at = 0; at < rows.length; at += width) {
      const row = rows.subarray(at, at + width);
      const norm = Math.sqrt(row.reduce((sum, it) => sum + it * it, 0));
      if (norm > 0) for (let i = 0; i < width; i++) row[i]! /= norm;
    }
    const { model, hook, prependBos, n_ctx } = parent.config;
    return {
      rows,
      width,
      facts: {
        ...(model === undefined ? {} : { model_name: model }),
        hook_name: hook,
        ...(n_ctx === undefined ? {} : { context_size: n_ctx }),
        prepend_bos: prependBos,
        meta_of: saeId(path, []),
        input: "unit-norm W_dec rows",
      },
    };
  } finally {
    parent.close();
  }
}

function piecesOf(rows: number): Int32Array {
  const nPieces = Math.ceil(rows / pieceRows);
  return Int32Array.from({ length: nPieces }, (_, i) => Math.min(pieceRows, rows - i * pieceRows));
}
