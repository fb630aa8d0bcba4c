/**
 * Files that the user switched on or off by hand; remembered for the workspace and told to the
 * server with the document.
 */
import * as vscode from "vscode";
import type { ServerConnection } from "./server-connection.ts";

const key = "latentWorkbench.switchedFiles";

/** The switches by URI. */
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
    return this.#all()[uri];
  }

  /** Switches a file on or off. */
  async set(uri: string, on: boolean): Promise<void> {
    await this.#memory.update(key, { ...this.#all(), [uri]: on });
    await this.#server.call("switchFile", { uri, on });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  #all(): Readonly<Record<string, boolean>> {
    return this.#memory.get<Record<string, boolean>>(key, {});
  }
}
