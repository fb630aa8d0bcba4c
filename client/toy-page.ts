/**
 * The page "Toy Models": one for the window. It asks the language server for toy runs, which the server starts as
 * processes; closing the page ends the run that it waits for.
 */
import * as vscode from "vscode";
import type { Handlers } from "../server/protocol/rpc.ts";
import type { ToyMethods, ToyPageEvents } from "../server/protocol/toy.ts";
import { SinglePage } from "./page-panel.ts";
import type { ServerConnection } from "./server-connection.ts";

/** The page, while there is one; also brings it back after a reload of the window. */
export class ToyPage implements vscode.Disposable {
  readonly #page: SinglePage<ToyMethods>;

  constructor(extensionUri: vscode.Uri, server: ServerConnection, log: vscode.LogOutputChannel) {
    const report = (progress: ToyPageEvents["progress"]): void =>
      this.#page.event("progress", progress);
    const handlers = (closed: AbortSignal): Handlers<ToyMethods> => ({
      runToy: (knobs, signal) =>
        server.call("runToy", knobs, {
          signal: AbortSignal.any([signal, closed]),
          onProgress: (text, percentage = 0) => report({ text, fraction: percentage / 100 }),
        }),
    });
    // Its results the page remembers itself.
    this.#page = new SinglePage(
      { name: "toy", title: "Toy Models", extensionUri, log, handlers },
      () => {},
    );
  }

  /** Opens the page, or brings it to the front. */
  open(): void {
    if (!this.#page.reveal()) this.#page.open(vscode.ViewColumn.Active);
  }

  dispose(): void {
    this.#page.dispose();
  }
}
