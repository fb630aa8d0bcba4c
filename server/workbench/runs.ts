/**
 * The runs of a workspace: found by their folders, started as processes of their own, stopped, resumed, removed.
 * All state is read from files, so that runs which a shell or a former server started show like any other.
 */
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { exists, isFolder, listFolder, writeFileAtomic } from "../files/disk.ts";
import { removePath } from "../files/folders.ts";
import type { RunInfo } from "../protocol/runs.ts";
import {
  alreadyFinished,
  alreadyRunning,
  notARun,
  noWorkspaceFolder,
  runsElsewhere,
  stillRunning,
} from "./runs-errors.ts";
import { describeRun, type RunFacts, readRunFacts } from "./runs-folder.ts";
import { RunLog } from "./runs-log.ts";
import { type RunLife, lifeOf, signalRun, spawnRun } from "./runs-process.ts";

/** A run that has not noticed its stop file after this time (ms) gets a signal, which means the same. */
const stopPatience = 3000;

export interface RunsOptions {
  /** The command line's program. */
  readonly program: string;
  readonly workspaceFolders: readonly string[];
  /** Where runs are kept, in each workspace folder or absolute. */
  readonly runsFolder: () => string;
}

/** All runs of a workspace. */
export class Runs {
  readonly #options: RunsOptions;
  readonly #logs = new Map<string, RunLog>();
  /** Runs that were asked to end, with the signal that follows. */
  readonly #stopping = new Map<string, NodeJS.Timeout>();

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** The folders that hold runs; a new one goes to the first. */
  get roots(): readonly string[] {
    const folder = this.#options.runsFolder();
    if (isAbsolute(folder)) return [folder];
    return this.#options.workspaceFolders.map((it) => join(it, folder));
  }

  /** The folder that new runs go to. */
  get newRunsFolder(): string {
    const [first] = this.roots;
    if (first === undefined) throw noWorkspaceFolder();
    return first;
  }

  /** Whether a folder is one of these runs. */
  holds(folder: string): boolean {
    return this.roots.includes(dirname(folder));
  }

  /** Every run, the one that was started last first. */
  async list(): Promise<RunInfo[]> {
    const folders = this.roots.flatMap((root) =>
      isFolder(root)
        ? listFolder(root)
            .map((name) => join(root, name))
            .filter((folder) => exists(join(folder, "run.jsonc")))
        : [],
    );
    for (const known of this.#logs.keys()) if (!folders.includes(known)) this.#logs.delete(known);
    const facts = await Promise.all(folders.map((folder) => this.#facts(folder)));
    return facts
      .toSorted((a, b) => b.started - a.started || b.folder.localeCompare(a.folder))
      .map((it) => describeRun(it));
  }

  /** One run. */
  async info(folder: string): Promise<RunInfo> {
    return describeRun(await this.#facts(this.#known(folder)));
  }

  /** The events of a run, read up to now. */
  async log(folder: string): Promise<RunLog> {
    const log = this.#logOf(this.#known(folder));
    await log.refresh();
    return log;
  }

  /** Starts a run from its beginning or from its last checkpoint. */
  async start(folder: string): Promise<RunInfo> {
    const facts = await this.#facts(this.#known(folder));
    const { life, name } = facts;
    if (life.state === "alive") throw alreadyRunning(name, life.pid);
    if (life.state === "elsewhere") throw runsElsewhere(name, life.host);
    if (facts.result?.state === "finished") throw alreadyFinished(name);
    this.#forgetStop(folder);
    // What the last process left says nothing about the next.
    for (const file of ["stop", "result.json"]) removePath(join(folder, file));
    const resume = facts.summary?.isStarted === true ? ["--resume"] : [];
    spawnRun(this.#options.program, folder, [facts.summary?.kind ?? "train", folder, ...resume]);
    return this.info(folder);
  }

  /** Asks a run to write a checkpoint and to end; `kill` ends it at once. One that does not run is left alone. */
  stop(folder: string, kill = false): void {
    const life = this.#lifeOf(folder);
    if (life.state === "elsewhere") writeFileAtomic(join(folder, "stop"), "");
    if (life.state !== "alive") return;
    const { pid } = life;
    if (kill) {
      signalRun(pid, "SIGKILL");
      return;
    }
    writeFileAtomic(join(folder, "stop"), "");
    if (this.#stopping.has(folder)) return;
    const timer = setTimeout(() => {
      this.#stopping.delete(folder);
      const now = lifeOf(folder);
      if (now.state === "alive" && now.pid === pid) signalRun(pid, "SIGTERM");
    }, stopPatience);
    timer.unref();
    this.#stopping.set(folder, timer);
  }

  /** Removes a run with all that it has made. */
  remove(folder: string): void {
    const life = this.#lifeOf(folder);
    if (life.state === "alive") throw stillRunning(basename(folder), life.pid);
    if (life.state === "elsewhere") throw runsElsewhere(basename(folder), life.host);
    this.#forgetStop(folder);
    this.#logs.delete(folder);
    removePath(folder);
  }

  /** A folder for a new run, named after `name`, that does not exist yet. */
  freeFolder(name: string): string {
    const plain = name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "") || "run";
    const root = this.newRunsFolder;
    for (let number = 1; ; number++) {
      const folder = join(root, number === 1 ? plain : `${plain}-${number}`);
      if (!exists(folder)) return folder;
    }
  }

  /** Forgets its timers; runs go on. */
  dispose(): void {
    for (const timer of this.#stopping.values()) clearTimeout(timer);
  }

  #facts(folder: string): Promise<RunFacts> {
    return readRunFacts(folder, this.#logOf(folder));
  }

  #logOf(folder: string): RunLog {
    const log = this.#logs.get(folder) ?? new RunLog(join(folder, "events.jsonl"));
    this.#logs.set(folder, log);
    return log;
  }

  #lifeOf(folder: string): RunLife {
    return lifeOf(this.#known(folder));
  }

  /** Only what lies directly in a folder of runs, and has a run file, is started, stopped or removed. */
  #known(folder: string): string {
    const isPlain = resolve(folder) === folder;
    const root = isPlain && this.roots.find((it) => relative(it, dirname(folder)) === "");
    if (!root || !exists(join(folder, "run.jsonc")))
      throw notARun(folder, this.roots.join(", ") || this.#options.runsFolder());
    return folder;
  }

  #forgetStop(folder: string): void {
    clearTimeout(this.#stopping.get(folder));
    this.#stopping.delete(folder);
  }
}
