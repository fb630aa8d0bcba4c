/**
 * The text pages that are open, one for each document, and the way of a selection from editor to page.
 */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import type { ServerConnection } from "./server-connection.ts";
import { TextPage } from "./text-page.ts";

const viewType = "latentWorkbench.text";
/** Quiet time after the cursor moved before the page follows. */
const pauseMs = 40;

/** A token of a document. */
export interface TokenPlace {
  readonly context: number;
  readonly index: number;
}

/** All text pages; also brings them back after a reload of the window. */
export class TextPages implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #pages = new Map<string, TextPage>();
  readonly #subscriptions: vscode.Disposable[];
  #timer: NodeJS.Timeout | undefined;

  constructor(extensionUri: vscode.Uri, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
    this.#subscriptions = [
      vscode.window.registerWebviewPanelSerializer(viewType, this),
      vscode.window.onDidChangeTextEditorSelection((event) => this.#onSelection(event)),
      server.onChanged(({ uris }) => {
        for (const uri of uris) this.#pages.get(uri)?.changed();
      }),
      server.onRunning((running) => {
        if (running) for (const page of this.#pages.values()) page.changed();
      }),
    ];
  }

  /** Opens the page of a document beside the editor, or brings it to the front, at a token if one is given. */
  async open(uri: vscode.Uri, at?: TokenPlace): Promise<void> {
    const place = at ?? (await this.#cursor(uri));
    const existing = this.#pages.get(uri.toString());
    if (existing) {
      existing.reveal();
      if (place) existing.select(place);
      return;
    }
    const panel = vscode.window.createWebviewPanel(
      viewType,
      "Tokens",
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      {},
    );
    this.#add(panel, uri, place);
  }

  /** Brings a page back after a reload of the window. */
  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { uri } = (state ?? {}) as { uri?: unknown };
    if (typeof uri !== "string") {
      panel.dispose();
      return;
    }
    const parsed = vscode.Uri.parse(uri, true);
    // The server reads open documents only; a reload restores the page before anyone opened its document.
    await vscode.workspace.openTextDocument(parsed);
    this.#add(panel, parsed, undefined);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #add(panel: vscode.WebviewPanel, uri: vscode.Uri, place: TokenPlace | undefined): void {
    const key = uri.toString();
    const page = new TextPage(panel, {
      extensionUri: this.#extensionUri,
      uri,
      place,
      server: this.#server,
      log: this.#log,
    });
    this.#pages.set(key, page);
    panel.onDidDispose(() => {
      if (this.#pages.get(key) === page) this.#pages.delete(key);
    });
  }

  #onSelection({ textEditor, selections }: vscode.TextEditorSelectionChangeEvent): void {
    const { document } = textEditor;
    const page = this.#pages.get(document.uri.toString());
    const [selection] = selections;
    if (!page || !selection || page.madeSelection(selection)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // A selection is read at its start, so that a word selected either way means its first token.
      const offset = document.offsetAt(selection.isEmpty ? selection.active : selection.start);
      void this.#follow(page, document.uri, offset);
    }, pauseMs);
  }

  async #follow(page: TextPage, uri: vscode.Uri, offset: number): Promise<void> {
    const place = await this.#tokenAt(uri, offset);
    if (place) page.select(place);
  }

  async #cursor(uri: vscode.Uri): Promise<TokenPlace | undefined> {
    const editor = vscode.window.visibleTextEditors.find(
      ({ document }) => document.uri.toString() === uri.toString(),
    );
    if (!editor) return undefined;
    return this.#tokenAt(uri, editor.document.offsetAt(editor.selection.active));
  }

  async #tokenAt(uri: vscode.Uri, offset: number): Promise<TokenPlace | undefined> {
    try {
      const place = await this.#server.call("tokenAt", { uri: uri.toString(), offset });
      return place ?? undefined;
    } catch (error) {
      // A file that is off or failed has no tokens; the page itself says so.
      if (!isCancelled(error)) this.#log.debug(`token at the cursor: ${String(error)}`);
      return undefined;
    }
  }
}
