/**
 * The folder of a run, which is also the channel to it:
 *
 * - `run.jsonc`: the complete config, with versions, threads and hashes of what it reads; written before anything starts.
 * - `events.jsonl`: one JSON object a line, appended: start, step, checkpoint, note, resume, end. Cut back on resume.
 * - `checkpoints/step-N.safetensors`: the last few.
 * - `process.json`: the process that works on it, its phase, step and speed, renewed about every second; gone when it ends.
 * - `stop`: an empty file that anyone may put there; the run then writes a checkpoint and ends.
 * - `result.json`: how the process ended (finished, stopped, failed) and why; absent while it runs or if it was killed.
 * - `sae/` or `sae/NAME/`, `parameters.safetensors` or `parameters/NAME.safetensors`: what came out.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import {
  exists,
  fileSize,
  listFolder,
  readJson,
  readText,
  writeFileAtomic,
} from "../files/disk.ts";
import { makeFolder, removePath } from "../files/folders.ts";
import { GrowingFile } from "../files/growing-file.ts";
import { isDiskFull } from "../files/write-pieces.ts";
import { Checkpoints } from "./checkpoint.ts";
import { eventsCut, runIsAlive } from "./run-errors.ts";

/** What `process.json` says. */
export interface RunProcess {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly beatAt: string;
  /** reading the corpus, harvesting, training, writing. */
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  readonly rowsPerSecond?: number;
  readonly etaSeconds?: number;
  /** Of the phase, 0 to 1, where it is known. */
  readonly share?: number;
  readonly note?: string;
}

/** What changes in it. */
export type RunProgress = Omit<RunProcess, "pid" | "host" | "startedAt" | "beatAt">;

/** How a process that worked on a run ended. */
export interface RunEnding {
  readonly state: "finished" | "stopped" | "failed";
  readonly reason?: { readonly code: string; readonly text: string };
}

/** A process that has not been heard of for so long is taken for dead, even if its number is in use again. */
const silentMs = 60_000;
const beatMs = 1000;
/** What a run does between its steps is told only when it takes long. */
const newsMs = 3 * beatMs;
/** Kept free for result.json on a full disk. */
const reserveBytes = 2 ** 16;

/** One run on disk. */
export class RunFolder {
  readonly path: string;
  readonly checkpoints: Checkpoints;
  #events: GrowingFile | undefined;
  #startedAt = "";
  #lastBeat = 0;
  #progress: RunProgress = { phase: "starting", step: 0, steps: 0 };

  constructor(path: string) {
    this.path = path;
    this.checkpoints = new Checkpoints(join(path, "checkpoints"));
  }

  file(...name: string[]): string {
    return join(this.path, ...name);
  }

  get configPath(): string {
    return this.file("run.jsonc");
  }

  get hasConfig(): boolean {
    return exists(this.configPath);
  }

  readConfig(): string {
    return readText(this.configPath);
  }

  writeConfig(text: string): void {
    writeFileAtomic(this.configPath, text);
  }

  /** Takes the folder for this process; throws if another one works on it. */
  claim(): void {
    makeFolder(this.path);
    const other = this.runningProcess();
    if (other) throw runIsAlive(this.path, other.pid, other.host);
    this.#startedAt = new Date().toISOString();
    removePath(this.file("stop"));
    removePath(this.file("result.json"));
    for (const folder of [this.path, this.checkpoints.folder]) removeTemporary(folder);
    writeFileAtomic(this.file(".reserve"), new Uint8Array(reserveBytes).fill(0x20));
    this.#writeProcess(this.#progress);
  }

  /** The process that works on the run, if one does. */
  runningProcess(): RunProcess | undefined {
    const path = this.file("process.json");
    if (!exists(path)) return undefined;
    const found = readJson(path) as RunProcess;
    const silent = Date.now() - Date.parse(found.beatAt) > silentMs;
    if (silent || (found.host === hostname() && !isAlive(found.pid))) return undefined;
    return found;
  }

  /** Renews `process.json`, at most once a second. */
  beat(progress: Omit<RunProcess, "pid" | "host" | "startedAt" | "beatAt">, force = false): void {
    const now = performance.now();
    if (!force && now - this.#lastBeat < beatMs) return;
    this.#lastBeat = now;
    this.#writeProcess(progress);
  }

  /** Renews phase and share alone, unless the last beat is news still; step and speed stay what they were. */
  beatPhase(phase: string, share: number | undefined, note?: string): void {
    const isNews = performance.now() - this.#lastBeat < newsMs;
    if (isNews && this.#progress.phase === "training") return;
    const { share: _share, note: _note, ...before } = this.#progress;
    this.beat({
      ...before,
      phase,
      ...(share === undefined ? {} : { share }),
      ...(note === undefined ? {} : { note }),
    });
  }

  get stopRequested(): boolean {
    return exists(this.file("stop"));
  }

  /** Opens the log; what stands after its first `keep` bytes is cut off. */
  openEvents(keep: number): void {
    const path = this.file("events.jsonl");
    const size = exists(path) ? fileSize(path) : 0;
    if (size < keep) throw eventsCut(path, size, keep);
    this.#events = new GrowingFile(path, keep);
  }

  /** Adds a line to the log. */
  log(event: Readonly<Record<string, unknown>>): void {
    this.#events?.append(`${JSON.stringify(event)}\n`);
  }

  /** Length of the log once all of it is on the disk. */
  flushEvents(): number {
    this.#events?.flush();
    return this.#events?.size ?? 0;
  }

  /** Writes how it ended and gives the folder back. On a full disk the reserved room is used. */
  end(result: RunEnding & Readonly<Record<string, unknown>>): void {
    removePath(this.file(".reserve"));
    try {
      this.log({ event: "end", time: new Date().toISOString(), ...endingOf(result) });
      this.#events?.flush();
    } catch (error) {
      // The log is a record of the run, result.json is its answer: a full disk must not cost the answer.
      if (!isDiskFull(error)) throw error;
    } finally {
      this.#events?.close();
      this.#events = undefined;
      writeFileAtomic(this.file("result.json"), `${JSON.stringify(result, undefined, 2)}\n`);
      removePath(this.file("stop"));
      removePath(this.file("process.json"));
    }
  }

  /** How the last process ended; undefined if it still works or was killed. */
  readEnding(): (RunEnding & Readonly<Record<string, unknown>>) | undefined {
    const path = this.file("result.json");
    return exists(path)
      ? (readJson(path) as RunEnding & Readonly<Record<string, unknown>>)
      : undefined;
  }

  #writeProcess(progress: RunProgress): void {
    const whole: RunProcess = {
      pid: process.pid,
      host: hostname(),
      startedAt: this.#startedAt,
      beatAt: new Date().toISOString(),
      ...progress,
    };
    writeFileAtomic(this.file("process.json"), `${JSON.stringify(whole)}\n`);
  }
}

/** Removes what killed writers left under temporary names. */
function removeTemporary(folder: string): void {
  if (!exists(folder)) return;
  for (const name of listFolder(folder)) {
    if (name.endsWith(".tmp")) removePath(join(folder, name));
  }
}

function endingOf({ state, reason }: RunEnding): RunEnding {
  return { state, ...(reason === undefined ? {} : { reason }) };
}

/** Whether a process of this number runs; one of another user does, too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
