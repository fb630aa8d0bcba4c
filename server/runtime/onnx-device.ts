/**
 * One ONNX Runtime execution provider: loads graphs into sessions.
 */
import * as ort from "onnxruntime-node";
import type { Graph } from "../graph/graph.ts";
import { writeOnnx } from "../graph/onnx/write-onnx.ts";
import type { DeviceName } from "../protocol/reader.ts";
import { nextName } from "./device-state.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { runtimeError, Session } from "./session.ts";

// What goes wrong comes back as an error; without this ONNX Runtime prints every refused device to stderr as well.
ort.env.logLevel = "fatal";

/** Version of ONNX Runtime. */
export const runtimeVersion: string = ort.env.versions.node ?? ort.env.versions.common;

/** How a graph is loaded. */
export interface LoadOptions {
  /** Names the session in errors. */
  readonly label: string;
  /** Repack weights for speed (default). Without, weights of a file stay shared file pages, and runs are slower. */
  readonly prepack?: boolean;
  /** Compute constant parts at load time (default). Without, f16 weights stay f16 and are widened at every run. */
  readonly fold?: boolean;
  /** Inputs whose next values the graph returns (as `next NAME`), for `Session.advance`. */
  readonly carries?: readonly string[];
}

/** An open device. */
export class Device {
  readonly name: DeviceName;
  readonly threads: number;
  readonly ledger: MemoryLedger;
  readonly #sessions = new Set<Session>();

  constructor(name: DeviceName, threads: number, memoryBudget: number) {
    this.name = name;
    this.threads = threads;
    this.ledger = new MemoryLedger(memoryBudget);
  }

  /** Whether what sessions hand on to each other can stay in the device's memory (ONNX Runtime's Node binding: WebGPU only). */
  get keepsTensors(): boolean {
    return this.name === "webgpu";
  }

  /** Whether the longest rows that TopK sorts quickly are short (`server/graph/stretches.ts`). */
  get sortsShortRows(): boolean {
    return this.name === "webgpu";
  }

  /** Loads a graph; its weights are read from their files now. Blocks the thread meanwhile. */
  async load(graph: Graph, options: LoadOptions): Promise<Session> {
    const { bytes, externalFolder } = writeOnnx(graph);
    let session: ort.InferenceSession;
    try {
      session = await ort.InferenceSession.create(
        bytes,
        this.#sessionOptions(options, externalFolder),
      );
    } catch (error) {
      throw runtimeError(options.label, error);
    }
    const loaded = new Session(options.label, session, graph, (released) =>
      this.#sessions.delete(released),
    );
    this.#sessions.add(loaded);
    return loaded;
  }

  /** Releases all sessions. */
  async close(): Promise<void> {
    for (const session of this.#sessions) await session.release();
  }

  #sessionOptions(
    { label, prepack = true, fold = true, carries = [] }: LoadOptions,
    externalFolder: string | undefined,
  ): ort.InferenceSession.SessionOptions {
    // Threads that wait by spinning burn 40 cpu-ms per 13 cpu-ms of work when runs are 30 ms apart.
    const session: Record<string, unknown> = {
      intra_op: { allow_spinning: "0" },
      inter_op: { allow_spinning: "0" },
    };
    if (externalFolder !== undefined) {
      session["model_external_initializers_file_folder_path"] = externalFolder;
    }
    if (!prepack) session["disable_prepacking"] = "1";
    const optimization = fold ? {} : { disable_specified_optimizers: "ConstantFolding" };
    return {
      executionProviders: [this.name],
      ...(this.keepsTensors && carries.length > 0
        ? { preferredOutputLocation: kept(carries) }
        : {}),
      intraOpNumThreads: this.threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // Every session would keep its own arena at its largest size: ten blocks of SmolLM2's shape kept 1.6 GB after
      // 1,000 tokens, without arenas 50 MB. Time is the same while no buffer exceeds 32 MiB (glibc's limit for reuse);
      // at 36 MiB fresh pages cost 30 %. So callers cut long texts: n_heads · tokens · keys ≤ 3 Mi elements.
      enableCpuMemArena: false,
      enableMemPattern: false,
      logId: label,
      logSeverityLevel: 4,
      extra: { session, optimization },
    };
  }
}

/** Everything else comes to our memory. */
function kept(carries: readonly string[]): Readonly<Record<string, "gpu-buffer">> {
  return Object.fromEntries(carries.map((name) => [nextName(name), "gpu-buffer"]));
}
