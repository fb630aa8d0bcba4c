/** What a run reads, opened: widths of its hook points, hashes of what lies behind them, and batches. */
import { unreachable } from "../../base/errors.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Device } from "../../runtime/device.ts";
import type { Batches, BufferOptions } from "../../training/buffer.ts";
import { openBatchesFile } from "./data-batches.ts";
import { openFiles } from "./data-files.ts";
import { openShards } from "./data-rows.ts";
import { openDecoderRows } from "./decoder-rows.ts";
import type { RowPolicy } from "./lm-source.ts";
import type { DataConfig } from "./run-config.ts";

/** What happens while data are being read, for whoever shows it. */
export interface DataReport {
  readonly signal: AbortSignal;
  /** Share of the phase from 0 to 1, where it is known. */
  readonly onProgress: (phase: string, share: number | undefined, note?: string) => void;
}

/** Data of one kind, before any activation is computed. */
export interface RunData {
  /** With all that was left open decided. */
  readonly config: DataConfig;
  /** Width of a hook point's rows, by its proper name; a name that the data lack is a user error. */
  hook(name: string | null): { readonly name: string; readonly width: number };
  /** Hashes of what is read, by what it is. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Rows of a batch, where the data decide it. */
  readonly batchRows: number | undefined;
  /** The language model with its policy for rows; where there is none, no loss can need it. */
  readonly model?: { readonly lm: LanguageModel; readonly prependBos: boolean } & RowPolicy;
  /** Figures of a finished SAE on the data themselves, for `result.json`. */
  quality?(sae: string, device: Device): Promise<Readonly<Record<string, number>>>;
  /** Facts for the `metadata` of an SAE that reads a hook point of this name. */
  metadata(hook: string): Readonly<Record<string, unknown>>;
  /** Batches of all the hook points. Files that the run must keep are put into `folder`. */
  open(
    hooks: readonly string[],
    options: BufferOptions,
    place: { readonly folder: string; readonly report: DataReport },
  ): Promise<{ batches: Batches; tokens?: string; bytes: number }>;
  close(): Promise<void>;
}

/** Opens data: reads headers and configs, computes nothing. */
export async function openData(config: DataConfig, device: Device): Promise<RunData> {
  switch (config.kind) {
    case "files":
      return openFiles(config, device);
    case "shards":
      return openShards(config);
    case "batches":
      return openBatchesFile(config);
    case "decoder-rows":
      return openDecoderRows(config);
    default:
      return unreachable(config);
  }
}
