/**
 * The reader as the server sees it: a child process that is started when first needed, restarted with its
 * reason when it dies, and spoken to through its method table.
 */
import { type ChildProcess, fork } from "node:child_process";
import { UserError } from "../base/errors.ts";
import type { ComparisonReaderMethods } from "../protocol/comparison.ts";
import type { FindReaderMethods } from "../protocol/find.ts";
import type { InterventionMethods, ReaderProgress } from "../protocol/interventions.ts";
import type { ReaderMethods, ReaderSettings } from "../protocol/reader.ts";
import { readerEnvironment } from "../protocol/reader-environment.ts";
import { Caller } from "../protocol/rpc.ts";

/** What happened to a reader, for the log and the user. */
export interface ReaderExit {
  readonly reason: string;
  readonly expected: boolean;
}

export interface ReaderProcessOptions {
  /** The reader's program. */
  readonly program: string;
  readonly settings: () => ReaderSettings;
  readonly onExit: (exit: ReaderExit) => void;
  readonly onLog: (text: string) => void;
}

/** Starts that may happen within a minute before we stop trying by ourselves. */
const maxStartsPerMinute = 6;

/** Hears how far a call is. */
type Report = (text: string, fraction: number) => void;

type ReaderCaller = Caller<ReaderMethods>;

type ProgressMethods = InterventionMethods & ComparisonReaderMethods & FindReaderMethods;

/** One reader process at a time; `generation` counts the ended ones, so that what was loaded can be loaded again. */
export class ReaderProcess {
  readonly #options: ReaderProcessOptions;
  #child: ChildProcess | undefined;
  #caller: ReaderCaller | undefined;
  #starts: number[] = [];
  /** Who listens to the progress of a call, by the name that the call gave. */
  readonly #listeners = new Map<string, Report>();
  #calls = 0;
  generation = 0;

  constructor(options: ReaderProcessOptions) {
    this.#options = options;
  }

  /** Process id of the running reader, if any. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Calls a method, starting the reader when there is none. */
  call: ReaderCaller["call"] = (method, params, signal) => {
    try {
      this.#caller ??= this.#start();
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return this.#caller.call(method, params, signal);
  };

  /** Calls a method that tells how far it is. */
  async callWithProgress<K extends keyof ProgressMethods>(
    method: K,
    params: Omit<Parameters<ProgressMethods[K]>[0], "progress">,
    report: Report,
    signal: AbortSignal,
  ): Promise<ReturnType<ProgressMethods[K]>> {
    const progress = `call-${++this.#calls}`;
    this.#listeners.set(progress, report);
    try {
      const named = { ...params, progress } as Parameters<ProgressMethods[K]>[0];
      return (await this.call(method, named as never, signal)) as ReturnType<ProgressMethods[K]>;
    } finally {
      this.#listeners.delete(progress);
    }
  }

  /**
   * Ends the reader. What it was asked fails at once with the code `reader-restarted`; the next call starts a new
   * one, and never reaches the one that is dying.
   */
  stop(reason: string): void {
    const child = this.#child;
    if (!child) return;
    this.#ended(child, new UserError("reader-restarted", reason), { reason, expected: true });
    child.kill("SIGKILL");
  }

  #start(): ReaderCaller {
    const now = Date.now();
    this.#starts = this.#starts.filter((at) => now - at < 60_000);
    if (this.#starts.length >= maxStartsPerMinute)
      throw new UserError(
        "reader-keeps-dying",
        `the reader died ${this.#starts.length} times within a minute; see the log, then use "Restart Reader"`,
      );
    this.#starts.push(now);
    const child = fork(this.#options.program, [JSON.stringify(this.#options.settings())], {
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [],
      env: { ...process.env, ...readerEnvironment, ELECTRON_RUN_AS_NODE: "1" },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (data: Buffer) => this.#options.onLog(data.toString().trimEnd()));
    const caller = new Caller<ReaderMethods>(
      {
        post: (message) => {
          if (child.connected) child.send(message as never, () => {});
        },
        onMessage: (listener) => child.on("message", listener),
      },
      (event, params) => {
        const { progress, text, fraction } = params as ReaderProgress;
        if (event === "progress") this.#listeners.get(progress)?.(text, fraction);
        else this.#options.onLog(`${event} ${JSON.stringify(params)}`);
      },
    );
    child.on("exit", (code, signal) => {
      const reason = `the reader stopped by itself (${signal ?? `exit code ${code}`})`;
      const text = `${reason}; it starts again with the next request`;
      this.#ended(child, new UserError("reader-stopped", text), { reason, expected: false });
    });
    return caller;
  }

  /** Forgets a reader, once: one that was stopped is forgotten before its process is gone. */
  #ended(child: ChildProcess, failure: UserError, exit: ReaderExit): void {
    if (this.#child !== child) return;
    const caller = this.#caller;
    this.#child = undefined;
    this.#caller = undefined;
    this.generation++;
    caller?.abandon(failure);
    this.#options.onExit(exit);
  }

  /** Lets a reader that died too often be started again, on the user's word. */
  forgive(): void {
    this.#starts = [];
  }
}
