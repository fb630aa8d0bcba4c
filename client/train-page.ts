/**
 * The training page: one for the window, with the curves of the run it was opened at and of others laid over them.
 * It asks the language server by range; commands about runs are run here.
 */
import * as vscode from "vscode";
import type { Handlers } from "../server/protocol/rpc.ts";
import type { RunMethods, TrainHostMethods, TrainPageEvents } from "../server/protocol/runs.ts";
import { besideEditor, SinglePage } from "./page-panel.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What the page may call; the other methods of the server are the client's alone. */
type PageTable = Pick<RunMethods, "runs" | "runCurves"> & TrainHostMethods;

/** The page, while there is one; also brings it back after a reload of the window. */
export class TrainPage implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #page: SinglePage<PageTable>;
  readonly #subscription: vscode.Disposable;
  #folder = "";

  constructor(
    extensionUri: vscode.Uri,
    { server, runs, log }: { server: ServerConnection; runs: Runs; log: vscode.LogOutputChannel },
  ) {
    this.#server = server;
    const handlers = (): Handlers<PageTable> => this.#handlers();
    this.#page = new SinglePage(
      { name: "train", title: "Training", extensionUri, log, handlers },
      (state) => {
        const { folder } = (state ?? {}) as { folder?: unknown };
        if (typeof folder === "string") this.#folder = folder;
      },
    );
    this.#subscription = runs.onChanged(() => this.#event("changed", {}));
  }

  /** Opens the page at a run, or brings it to the front. */
  open(folder: string): void {
    this.#folder = folder;
    if (this.#page.reveal(true)) this.#event("select", { folder });
    else this.#page.open(besideEditor(), true);
  }

  dispose(): void {
    this.#page.dispose();
    this.#subscription.dispose();
  }

  #event<E extends keyof TrainPageEvents>(event: E, params: TrainPageEvents[E]): void {
    this.#page.event(event, params);
  }

  #handlers(): Handlers<PageTable> {
    return {
      runs: (params, signal) => this.#server.call("runs", params, { signal }),
      runCurves: (params, signal) => this.#server.call("runCurves", params, { signal }),
      start: () => ({ folder: this.#folder }),
      runCommand: async ({ command, ...run }) => {
        await vscode.commands.executeCommand(`latentWorkbench.${command}`, run);
        return null;
      },
    };
  }
}
