/**
 * The attribution page: one for the window, about the token that was asked for last. What it shows it asks of the language server;
 * tokens, pins and steering are passed to the editor.
 */
import * as vscode from "vscode";
import type {
  AttributeNext,
  AttributionEvents,
  AttributionHostMethods,
  CauseMethods,
} from "../server/protocol/page-causes.ts";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { ServerConnection } from "./server-connection.ts";

const viewType = "latentWorkbench.attribution";

type PageTable = Pick<CauseMethods, "attributeNext"> & AttributionHostMethods;

/** The page, while there is one. */
export class AttributionPage implements vscode.Disposable {
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  #panel: vscode.WebviewPanel | undefined;
  #send: ((event: string, params: unknown) => void) | undefined;
  #asked: AttributeNext | undefined;

  constructor(extensionUri: vscode.Uri, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
  }

  /** Opens the page about a token, or turns the open one to it. */
  open(ask: AttributeNext): void {
    this.#asked = ask;
    if (this.#panel) {
      this.#panel.reveal(undefined, true);
      this.#event("ask", ask);
      return;
    }
    const place = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    this.#show(vscode.window.createWebviewPanel(viewType, "Attribution", place, {}));
  }

  dispose(): void {
    this.#panel?.dispose();
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
      this.#log.error(`attribution page, ${method}: ${String(error)}`),
    );
    panel.onDidDispose(() => {
      for (const listener of listeners) listener.dispose();
      if (this.#panel === panel) this.#panel = this.#send = undefined;
    });
    const names = { name: "attribution", title: "Attribution" };
    panel.webview.html = pageHtml(panel.webview, this.#extensionUri, names);
  }

  #event<E extends keyof AttributionEvents>(event: E, params: AttributionEvents[E]): void {
    this.#send?.(event, params);
  }

  #handlers(): Handlers<PageTable> {
    return {
      start: () => this.#asked!,
      attributeNext: (params, signal) => {
        this.#asked = params;
        const onProgress = (text: string, percentage?: number): void =>
          this.#event("progress", { text, ...(percentage === undefined ? {} : { percentage }) });
        return this.#server.call("attributeNext", params, { signal, onProgress });
      },
      reveal: async ({ uri, startOffset, endOffset }) => {
        const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri, true));
        const visible = vscode.window.visibleTextEditors.find((it) => it.document === document);
        const column = visible?.viewColumn ?? vscode.ViewColumn.One;
        const editor = await vscode.window.showTextDocument(document, column, true);
        const range = new vscode.Range(
          document.positionAt(startOffset),
          document.positionAt(endOffset),
        );
        editor.selection = new vscode.Selection(range.start, range.end);
        editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
        return null;
      },
      pin: async (latent) => {
        await vscode.commands.executeCommand("latentWorkbench.pinLatent", latent);
        return null;
      },
      steer: async (latent) => {
        const { uri, context, index } = this.#asked!;
        const argument = { uri, context, index, ...latent };
        await vscode.commands.executeCommand("latentWorkbench.steer", argument);
        return null;
      },
    };
  }
}
