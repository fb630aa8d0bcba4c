/**
 * The training page: one for the window, with the curves of the run it was opened at and of others laid over them.
 * It asks the language server by range; commands about runs are run here.
 */
import * as vscode from "vscode";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import type { RunMethods, TrainHostMethods, TrainPageEvents } from "../server/protocol/runs.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

const viewType = "latentWorkbench.train";

/** What the page may call; the other methods of the server are the client's alone. */
type PageTable = Pick<RunMethods, "runs" | "runCurves"> & TrainHostMethods;

/** The page, while there is one; also brings it back after a reload of the window. */
export class TrainPage implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #subscriptions: vscode.Disposable[];
  #panel: vscode.WebviewPanel | undefined;
  #send: ((event: string, params: unknown) => void) | undefined;
  #folder = "";

  constructor(
    extensionUri: vscode.Uri,
    { server, runs, log }: { server: ServerConnection; runs: Runs; log: vscode.LogOutputChannel },
  ) {
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
    this.#subscriptions = [
      vscode.window.registerWebviewPanelSerializer(viewType, this),
      runs.onChanged(() => this.#event("changed", {})),
    ];
  }

  /** Opens the page at a run, or brings it to the front. */
  open(folder: string): void {
    this.#folder = folder;
    if (this.#panel) {
      this.#panel.reveal(undefined, true);
      this.#event("select", { folder });
      return;
    }
    const column = vscode.window.activeTextEditor
      ? vscode.ViewColumn.Beside
      : vscode.ViewColumn.Active;
    const place = { viewColumn: column, preserveFocus: true };
    this.#show(vscode.window.createWebviewPanel(viewType, "Training", place, {}));
  }

  /** Brings the page back after a reload of the window. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { folder } = (state ?? {}) as { folder?: unknown };
    if (typeof folder === "string") this.#folder = folder;
    if (this.#panel) panel.dispose();
    else this.#show(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.#panel?.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #show(panel: vscode.WebviewPanel): void {
    this.#panel = panel;
    const listeners: vscode.Disposable[] = [];
    panel.iconPath = vscode.Uri.joinPath(this.#extensionUri, "media/page.svg");
    panel.webview.options = pageOptions(this.#extensionUri);
    const port: Port = {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview's, not a window's
      post: (message) => void (this.#panel === panel && panel.webview.postMessage(message)),
      onMessage: (listener) => void listeners.push(panel.webview.onDidReceiveMessage(listener)),
    };
    this.#send = serve<PageTable>(port, this.#handlers(), (error, method) =>
      this.#log.error(`training page, ${method}: ${String(error)}`),
    );
    panel.onDidDispose(() => {
      for (const listener of listeners) listener.dispose();
      if (this.#panel === panel) this.#panel = this.#send = undefined;
    });
    panel.webview.html = pageHtml(panel.webview, this.#extensionUri, {
      name: "train",
      title: "Training",
    });
  }

  #event<E extends keyof TrainPageEvents>(event: E, params: TrainPageEvents[E]): void {
    this.#send?.(event, params);
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
