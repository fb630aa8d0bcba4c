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
import type { Handlers } from "../server/protocol/rpc.ts";
import { SinglePage } from "./page-panel.ts";
import { revealRange } from "./reveal.ts";
import type { ServerConnection } from "./server-connection.ts";

type PageTable = Pick<CauseMethods, "attributeNext"> & AttributionHostMethods;

/** The page, while there is one. */
export class AttributionPage implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #page: SinglePage<PageTable>;
  #asked: AttributeNext | undefined;

  constructor(extensionUri: vscode.Uri, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#server = server;
    const handlers = (): Handlers<PageTable> => this.#handlers();
    this.#page = new SinglePage({
      name: "attribution",
      title: "Attribution",
      extensionUri,
      log,
      handlers,
    });
  }

  /** Opens the page about a token, or turns the open one to it. */
  open(ask: AttributeNext): void {
    this.#asked = ask;
    if (this.#page.reveal(true)) this.#event("ask", ask);
    else this.#page.open(vscode.ViewColumn.Beside, true);
  }

  dispose(): void {
    this.#page.dispose();
  }

  #event<E extends keyof AttributionEvents>(event: E, params: AttributionEvents[E]): void {
    this.#page.event(event, params);
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
      reveal: (range) => revealRange(range, { preserveFocus: true }),
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
