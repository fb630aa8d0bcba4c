/**
 * The runs of the workspace as the client sees them. The server reads them from their folders; here they are asked
 * for every second while one of them runs, and otherwise when files of runs come and go.
 */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import type { RunInfo, RunState } from "../server/protocol/runs.ts";
import { isActive } from "../server/protocol/runs-text.ts";
import type { ServerConnection } from "./server-connection.ts";

const activePauseMs = 1000;
const burstPauseMs = 200;

/** A run that is in another state than before. */
export interface RunChange {
  readonly run: RunInfo;
  readonly before: RunState | undefined;
}

/** All runs. */
export class Runs implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #stateChanged = new vscode.EventEmitter<RunChange>();
  readonly #subscriptions: vscode.Disposable[];
  #list: readonly RunInfo[] = [];
  #isKnown = false;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Something about runs is new. */
  readonly onChanged = this.#changed.event;
  /** A run, seen before, went into another state. */
  readonly onStateChanged = this.#stateChanged.event;

  constructor(server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#server = server;
    this.#log = log;
    const files = vscode.workspace.createFileSystemWatcher("**/{run.jsonc,result.json}");
    const soon = (): void => this.#later(burstPauseMs);
    this.#subscriptions = [
      this.#changed,
      this.#stateChanged,
      files,
      files.onDidCreate(soon),
      files.onDidDelete(soon),
      files.onDidChange(soon),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("latentWorkbench.runsFolder")) soon();
      }),
    ];
  }

  /** The newest first; empty until someone asked. */
  get list(): readonly RunInfo[] {
    return this.#list;
  }

  /** A run by its folder. */
  find(folder: string): RunInfo | undefined {
    return this.#list.find((it) => it.folder === folder);
  }

  /** The list, asked for if nobody did. */
  async known(): Promise<readonly RunInfo[]> {
    if (!this.#isKnown) await this.refresh();
    return this.#list;
  }

  /** Asks again. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  async #refresh(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const { runs } = await this.#server.call("runs", {});
      const before = new Map(this.#list.map((it) => [it.folder, it.state]));
      const isFirst = !this.#isKnown;
      this.#list = runs;
      this.#isKnown = true;
      this.#changed.fire();
      for (const run of runs) {
        const was = before.get(run.folder);
        if (!isFirst && was !== run.state) this.#stateChanged.fire({ run, before: was });
      }
    } catch (error) {
      if (!isCancelled(error)) this.#log.warn(`runs: ${String(error)}`);
    }
    if (this.#list.some(isActive)) this.#later(activePauseMs);
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    // Files of runs alone are no reason to start a server.
    if (!this.#server.wanted && !this.#isKnown) return;
    this.#timer = setTimeout(() => void this.refresh(), ms);
  }
}
