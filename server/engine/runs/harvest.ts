/** `harvest`: activations at hook points of a corpus, written to shards; one that was stopped goes on where it was. */
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { isCancelled, UserError } from "../../base/errors.ts";
import { freeBytes } from "../../files/folders.ts";
import { hashWeights } from "../../files/locations.ts";
import { loadLm } from "../../lm/load.ts";
import type { DeviceName } from "../../protocol/reader.ts";
import { openDevice } from "../../runtime/device.ts";
import { plannedBytes, type ShardDType, type ShardPlan } from "../../store/activation-shards.ts";
import { ShardWriter } from "../../store/shard-writer.ts";
import type { TokenWindows } from "../../store/token-windows.ts";
import { RunFolder } from "../../training/run-folder.ts";
import { modelPath } from "../names.ts";
import { type DecidedFiles, decide, hookOf, tokensName, windowsOf } from "./data-files.ts";
import { LmSource } from "./lm-source.ts";
import { lowerPriority, type RunPriority } from "./priority.ts";
import type { DataReport } from "./open-data.ts";
import { phaseReport } from "./phase-report.ts";
import type { FilesConfig } from "./run-config.ts";

/** A call of `harvest`. */
export interface HarvestRequest {
  readonly data: FilesConfig;
  readonly hooks: readonly string[];
  readonly output: string;
  readonly dtype: ShardDType;
  /** Bytes of a shard, about. */
  readonly shardBytes: number;
  readonly device?: "auto" | DeviceName | undefined;
  readonly threads?: number | undefined;
  readonly priority: RunPriority;
  /** Only says how much there would be. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  /** What is about to be written, before it is. */
  readonly onPlan: (plan: HarvestPlan) => void;
  readonly onProgress: (text: string) => void;
}

/** How much a harvest writes. */
export interface HarvestPlan {
  readonly output: string;
  readonly windows: number;
  readonly tokens: number;
  readonly rows: number;
  readonly hooks: Readonly<Record<string, number>>;
  readonly dtype: ShardDType;
  readonly shards: number;
  readonly bytes: number;
  readonly freeBytes: number;
}

/** What a harvest wrote. */
export interface HarvestResult extends HarvestPlan {
  /** Shards that were there already. */
  readonly resumedFrom: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

/** Columns beside the activations: the token of each row and its position in its window. */
const columns = ["token", "position"] as const;
/** Writes all shards, or those that are missing. */
export async function harvest(request: HarvestRequest): Promise<HarvestResult | HarvestPlan> {
  lowerPriority(request.priority);
  const folder = new RunFolder(request.output);
  folder.claim();
  try {
    const result = await harvestInto(folder, request);
    folder.end({ state: "finished", ...result });
    return result;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const code = error instanceof UserError ? error.code : "bug";
    folder.end(
      isCancelled(error)
        ? { state: "stopped", reason: { code: "signal", text: "stopped; run it again to go on" } }
        : { state: "failed", reason: { code, text } },
    );
    throw error;
  }
}

async function harvestInto(
  folder: RunFolder,
  request: HarvestRequest,
): Promise<HarvestResult | HarvestPlan> {
  const { device } = await openDevice({
    device: request.device ?? "auto",
    threads: request.threads ?? availableParallelism(),
    memoryBudget: totalmem() * 0.75,
  });
  try {
    const path = modelPath(request.data.lm);
    const lm = await loadLm(path, device);
    const config = decide({ ...request.data, lm: path }, lm);
    const hooks = request.hooks.map((name) => hookOf(lm, name));
    const report = phaseReport(folder, request);
    const { windows, key } = await windowsOf(lm, config, join(folder.path, tokensName), report);
    const source = new LmSource(
      lm,
      windows,
      hooks.map(({ name }) => name),
      config,
    );
    const widths = Object.fromEntries(hooks.map(({ name, width }) => [name, width]));
    const groups = groupsOf(source.pieceRows, rowBytes(widths, request.dtype), request.shardBytes);
    const plan: ShardPlan = {
      hooks: widths,
      dtype: request.dtype,
      columns,
      shardRows: groups.map(({ rows }) => rows),
      source: {
        lm: hashWeights(path),
        tokens: key,
        policy: policyOf(config),
        metadata: { model_name: lm.id, context_size: config.ctx, prepend_bos: config.prependBos },
      },
    };
    const summary = summaryOf(request, plan, windows);
    request.onPlan(summary);
    if (request.dryRun) return summary;
    const writer = new ShardWriter(folder.path, plan);
    const done = await writeShards({ writer, source, windows, groups, report, folder });
    return { ...summary, ...done };
  } finally {
    await device.close();
  }
}

/** A stretch of windows that makes one shard. */
interface Group {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

function groupsOf(pieceRows: Int32Array, bytesPerRow: number, shardBytes: number): Group[] {
  const most = Math.max(1, Math.floor(shardBytes / bytesPerRow));
  const groups: Group[] = [];
  let from = 0;
  let rows = 0;
  pieceRows.forEach((more, window) => {
    if (rows > 0 && rows + more > most) {
      groups.push({ from, to: window, rows });
      from = window;
      rows = 0;
    }
    rows += more;
  });
  groups.push({ from, to: pieceRows.length, rows });
  return groups;
}

async function writeShards(parts: {
  writer: ShardWriter;
  source: LmSource;
  windows: TokenWindows;
  groups: readonly Group[];
  report: DataReport;
  folder: RunFolder;
}): Promise<Pick<HarvestResult, "resumedFrom" | "seconds" | "tokensPerSecond">> {
  const { writer, source, windows, groups, report } = parts;
  const resumedFrom = writer.next;
  const started = performance.now();
  let tokens = 0;
  for (const group of groups.slice(resumedFrom)) {
    const activations = new Map(
      [...source.widths].map(([hook, width]) => [hook, new Float32Array(group.rows * width)]),
    );
    const found = new Map(columns.map((name) => [name, new Int32Array(group.rows)]));
    let at = 0;
    for (let window = group.from; window < group.to; window++) {
      const ids = windows.window(window);
      const kept = source.keptPositions(ids);
      const rows = await source.read(window, report.signal);
      for (const [hook, width] of source.widths) {
        activations.get(hook)!.set(rows.get(hook)!, at * width);
      }
      found.get("token")!.set(
        kept.map((position) => ids[position]!),
        at,
      );
      found.get("position")!.set(kept, at);
      at += kept.length;
      tokens += ids.length;
      const speed = Math.round((tokens * 1000) / (performance.now() - started));
      const share = (window + 1) / windows.count;
      report.onProgress("harvesting", share, `${speed} tokens/s`);
    }
    writer.write({ activations, columns: found });
  }
  const seconds = (performance.now() - started) / 1000;
  return { resumedFrom, seconds, tokensPerSecond: Math.round(tokens / seconds) };
}

function rowBytes(widths: Readonly<Record<string, number>>, dtype: ShardDType): number {
  const width = Object.values(widths).reduce((sum, it) => sum + it, 0);
  return width * (dtype === "float32" ? 4 : 2) + columns.length * 4;
}

/** All that decides the tokens and rows; paths do not. */
function policyOf({ lm: _lm, files: _files, ...policy }: DecidedFiles): Record<string, unknown> {
  return policy;
}

function summaryOf(
  { output, dtype }: HarvestRequest,
  plan: ShardPlan,
  windows: TokenWindows,
): HarvestPlan {
  return {
    output,
    windows: windows.count,
    tokens: windows.tokens,
    rows: plan.shardRows.reduce((sum, rows) => sum + rows, 0),
    hooks: plan.hooks,
    dtype,
    shards: plan.shardRows.length,
    bytes: plannedBytes(plan),
    freeBytes: freeBytes(output),
  };
}
