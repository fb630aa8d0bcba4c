/**
 * The page "Toy Models": one for the window. It asks the language server for toy runs, which the server starts as
 * processes; closing the page ends the run that it waits for.
 */
import * as vscode from "vscode";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import type { ToyMethods, ToyPageEvents } from "../server/protocol/toy.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { ServerConnection } from "./server-connection.ts";

const viewType = "latentWorkbench.toy";

/** The page, while there is one; also brings it back after a reload of the window. */
export class ToyPage implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #registration: vscode.Disposable;
  #panel: vscode.WebviewPanel | undefined;

  constructor(extensionUri: vscode.Uri, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
    this.#registration = vscode.window.registerWebviewPanelSerializer(viewType, this);
  }

  /** Opens the page, or brings it to the front. */
  open(): void {
    if (this.#panel) this.#panel.reveal();
    else
      this.#show(
        vscode.window.createWebviewPanel(viewType, "Toy Models", vscode.ViewColumn.Active, {}),
      );
  }

  /** Brings the page back after a reload of the window. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    if (this.#panel) panel.dispose();
    else this.#show(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.#panel?.dispose();
    this.#registration.dispose();
  }

  #show(panel: vscode.WebviewPanel): void {
    this.#panel = panel;
    const closed = new AbortController();
    const listeners: vscode.Disposable[] = [];
    panel.iconPath = vscode.Uri.joinPath(this.#extensionUri, "media/page.svg");
    panel.webview.options = pageOptions(this.#extensionUri);
    const port: Port = {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview's, not a window's
      post: (message) => void (this.#panel === panel && panel.webview.postMessage(message)),
      onMessage: (listener) => void listeners.push(panel.webview.onDidReceiveMessage(listener)),
    };
    const report = (progress: ToyPageEvents["progress"]): void => send("progress", progress);
    const handlers: Handlers<ToyMethods> = {
      runToy: (knobs, signal) =>
        this.#server.call("runToy", knobs, {
          signal: AbortSignal.any([signal, closed.signal]),
          onProgress: (text, percentage = 0) => report({ text, fraction: percentage / 100 }),
        }),
    };
    const send = serve<ToyMethods>(port, handlers, (error, method) =>
      this.#log.error(`toy page, ${method}: ${String(error)}`),
    );
    panel.onDidDispose(() => {
      closed.abort();
      for (const listener of listeners) listener.dispose();
      if (this.#panel === panel) this.#panel = undefined;
    });
    panel.webview.html = pageHtml(panel.webview, this.#extensionUri, {
      name: "toy",
      title: "Toy Models",
    });
  }
}
