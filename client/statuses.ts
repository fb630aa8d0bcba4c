/**
 * What the server last said about each document. Kept for all documents, because a notice may come before the
 * document's editor is visible; whoever draws asks here again when editors appear.
 */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import type { DocumentStatus } from "../server/protocol/page.ts";
import { activeTextEditor } from "./documents.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Statuses by document. */
export class Statuses implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #byUri = new Map<string, DocumentStatus>();
  readonly #changed = new vscode.EventEmitter<string>();
  readonly #subscriptions: vscode.Disposable[];

  /** The status of the document with this URI is new. */
  readonly onChanged = this.#changed.event;

  constructor(server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#server = server;
    this.#log = log;
    this.#subscriptions = [
      this.#changed,
      server.onChanged(({ status }) => status.forEach((it) => this.#set(it))),
      server.onRunning((running) => {
        if (!running) this.#byUri.clear();
        void this.refresh();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => void this.refresh()),
      vscode.workspace.onDidCloseTextDocument((document) =>
        this.#byUri.delete(document.uri.toString()),
      ),
    ];
  }

  /** The last known status of a document. */
  get(uri: string): DocumentStatus | undefined {
    return this.#byUri.get(uri);
  }

  /** Asks the server about the document of the active editor. */
  async refresh(): Promise<void> {
    const editor = activeTextEditor();
    if (!editor || !this.#server.wanted) return;
    try {
      this.#set(await this.#server.call("status", { uri: editor.document.uri.toString() }));
    } catch (error) {
      // The server may not know the document yet; it sends a notice as soon as it does.
      if (!isCancelled(error)) this.#log.debug(`status: ${String(error)}`);
    }
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #set(status: DocumentStatus): void {
    this.#byUri.set(status.uri, status);
    this.#changed.fire(status.uri);
  }
}
