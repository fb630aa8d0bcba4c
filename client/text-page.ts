/**
 * One text page: its panel, its HTML and the methods it may call. Calls about tokens go on to the language server;
 * those about editors are answered here.
 */
import * as vscode from "vscode";
import type { PageEvents, PageHostMethods, PageMethods } from "../server/protocol/page.ts";
import type { Handlers } from "../server/protocol/rpc.ts";
import { connectPage, passOn, type SendEvent } from "./page-panel.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { TokenPlace } from "./text-pages.ts";

/** The methods of the language server that a text page may call; the others are the client's alone. */
const passedOn = [
  "overview",
  "tokens",
  "tokenCard",
  "predictions",
  "tokenAt",
  "pin",
  "unpin",
  "switchFile",
  "status",
] as const satisfies readonly (keyof PageMethods)[];

type PageTable = Pick<PageMethods, (typeof passedOn)[number]> & PageHostMethods;

/** What a page is made of. */
export interface TextPageOptions {
  readonly extensionUri: vscode.Uri;
  readonly uri: vscode.Uri;
  /** The token to begin with. */
  readonly place: TokenPlace | undefined;
  readonly server: ServerConnection;
  readonly log: vscode.LogOutputChannel;
}

/** One open page. */
export class TextPage {
  readonly #panel: vscode.WebviewPanel;
  readonly #options: TextPageOptions;
  readonly #send: SendEvent;
  #place: TokenPlace | undefined;
  #made: vscode.Selection | undefined;

  constructor(panel: vscode.WebviewPanel, options: TextPageOptions) {
    this.#panel = panel;
    this.#options = options;
    this.#place = options.place;
    const { extensionUri, log, uri } = options;
    panel.title = `Tokens: ${nameOf(uri)}`;
    const handlers = (closed: AbortSignal): Handlers<PageTable> => this.#handlers(closed);
    this.#send = connectPage(panel, { name: "text", title: "Tokens", extensionUri, log, handlers });
  }

  /** Brings the page to the front; the editor keeps the focus. */
  reveal(): void {
    this.#panel.reveal(undefined, true);
  }

  /** Shows a token. */
  select(place: TokenPlace): void {
    this.#place = place;
    this.#event("selection", place);
  }

  /** Tells the page to ask again. */
  changed(): void {
    this.#event("changed", { uri: this.#options.uri.toString() });
  }

  /**
   * True for the selection that this page itself made in the editor. Following it back would move the page to the
   * first of several tokens inside one character.
   */
  madeSelection(selection: vscode.Selection): boolean {
    const made = this.#made?.isEqual(selection) ?? false;
    if (!made) this.#made = undefined;
    return made;
  }

  #event<E extends keyof PageEvents>(event: E, params: PageEvents[E]): void {
    this.#send(event, params);
  }

  #handlers(closed: AbortSignal): Handlers<PageTable> {
    const { server, uri } = this.#options;
    return {
      ...passOn(server, passedOn, closed),
      start: () => ({
        uri: uri.toString(),
        name: nameOf(uri),
        selection: this.#place ?? null,
      }),
      reveal: (range) => this.#reveal(range),
      runCommand: async ({ command }) => {
        await vscode.commands.executeCommand(`latentWorkbench.${command}`);
        return null;
      },
    };
  }

  async #reveal(range: { startOffset: number; endOffset: number }): Promise<null> {
    const { uri } = this.#options;
    const visible = vscode.window.visibleTextEditors.find(
      ({ document }) => document.uri.toString() === uri.toString(),
    );
    const editor =
      visible ??
      (await vscode.window.showTextDocument(uri, {
        viewColumn:
          this.#panel.viewColumn === vscode.ViewColumn.One
            ? vscode.ViewColumn.Two
            : vscode.ViewColumn.One,
        preserveFocus: true,
      }));
    const start = editor.document.positionAt(range.startOffset);
    const end = editor.document.positionAt(range.endOffset);
    const selection = new vscode.Selection(start, end);
    this.#made = selection;
    editor.selection = selection;
    editor.revealRange(selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    return null;
  }
}

function nameOf(uri: vscode.Uri): string {
  return uri.path.split("/").at(-1) || uri.toString();
}
