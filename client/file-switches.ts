/**
 * Files that the user switched on or off by hand; remembered for the workspace and told to the
 * server with the document.
 */
import * as vscode from "vscode";
import type { ServerConnection } from "./server-connection.ts";

const key = "latentWorkbench.switchedFiles";

/** The switches by URI; all cells of a notebook have one. */
export class FileSwitches implements vscode.Disposable {
  readonly #memory: vscode.Memento;
  readonly #server: ServerConnection;
  readonly #subscription: vscode.Disposable;

  constructor(memory: vscode.Memento, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#memory = memory;
    this.#server = server;
    this.#subscription = server.onOpened(({ uri }) => {
      const on = this.get(uri.toString());
      if (on === undefined) return;
      server
        .call("switchFile", { uri: uri.toString(), on })
        .catch((error: unknown) => log.error(`switch of ${uri.toString()}: ${String(error)}`));
    });
  }

  /** True or false where the user decided; undefined where the settings' patterns do. */
  get(uri: string): boolean | undefined {
    return this.#all()[fileOf(uri)];
  }

  /** Switches a file on or off; of a notebook's cell, the notebook. */
  async set(uri: string, on: boolean): Promise<void> {
    const file = fileOf(uri);
    await this.#memory.update(key, { ...this.#all(), [file]: on });
    const cells = vscode.workspace.textDocuments
      .map((document) => document.uri.toString())
      .filter((other) => other !== uri && fileOf(other) === file);
    for (const one of [uri, ...cells]) await this.#server.call("switchFile", { uri: one, on });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  #all(): Readonly<Record<string, boolean>> {
    return this.#memory.get<Record<string, boolean>>(key, {});
  }
}

/** The file of a document: of a notebook's cell the notebook, which the cell's URI names before its fragment. */
function fileOf(uri: string): string {
  return uri.startsWith("vscode-notebook-cell:") ? (uri.split("#")[0] ?? uri) : uri;
}
