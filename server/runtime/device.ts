/**
 * The runtime room: the only one that knows ONNX Runtime. It opens a device, loads graphs into sessions, runs
 * them, and keeps the plan of memory. It knows nothing of language models or SAEs. Start reading at `openDevice`.
 */
import * as ort from "onnxruntime-node";
import type { Graph } from "../graph/graph.ts";
import { writeOnnx } from "../graph/onnx/write-onnx.ts";
import type { DeviceName, DeviceReport, ReaderSettings } from "../protocol/reader.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { runtimeError, Session } from "./session.ts";

export type { Session } from "./session.ts";

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

  /** Loads a graph; its weights are read from their files now. */
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
    const loaded = new Session(options.label, session, graph);
    this.#sessions.add(loaded);
    return loaded;
  }

  /** Releases all sessions. */
  async close(): Promise<void> {
    for (const session of this.#sessions) await session.release();
    this.#sessions.clear();
  }

  #sessionOptions(
    { label, prepack = true, fold = true }: LoadOptions,
    externalFolder: string | undefined,
  ): ort.InferenceSession.SessionOptions {
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
      intraOpNumThreads: this.threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      logId: label,
      logSeverityLevel: 3,
      extra: { session, optimization },
    };
  }
}

/** Opens the device that the settings ask for. */
export async function openDevice(
  settings: Pick<ReaderSettings, "device" | "threads" | "memoryBudget">,
): Promise<{ device: Device; reports: DeviceReport[] }> {
  const device = new Device("cpu", settings.threads, settings.memoryBudget);
  return Promise.resolve({ device, reports: [{ device: "cpu", chosen: true }] });
}
