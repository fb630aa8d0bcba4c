/** Pages in webview panels: how one is connected to its handlers, and a page of which a window has one at most. */
import * as vscode from "vscode";
import type { PageMethods } from "../server/protocol/page.ts";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What every page needs. */
export interface PageParts<Table> {
  /** Of its script, its style sheet and its view type `latentWorkbench.<name>`. */
  readonly name: string;
  readonly title: string;
  readonly extensionUri: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
  /** What the page may call. `closed` is aborted when the page is: work that only it waits for need not go on. */
  readonly handlers: (closed: AbortSignal) => Handlers<Table>;
}

/** Sends an event to a page; to one that is closed, nothing. */
export type SendEvent = (event: string, params: unknown) => void;

/** Fills a panel with its page and answers the page's calls until the panel is closed. */
export function connectPage<Table>(
  panel: vscode.WebviewPanel,
  { name, title, extensionUri, log, handlers }: PageParts<Table>,
): SendEvent {
  const closed = new AbortController();
  const listeners: vscode.Disposable[] = [];
  panel.iconPath = vscode.Uri.joinPath(extensionUri, "media/page.svg");
  panel.webview.options = pageOptions(extensionUri);
  const port: Port = {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview's, not a window's
    post: (message) => void (closed.signal.aborted || panel.webview.postMessage(message)),
    onMessage: (listener) => void listeners.push(panel.webview.onDidReceiveMessage(listener)),
  };
  const send = serve<Table>(port, handlers(closed.signal), (error, method) =>
    log.error(`${name} page, ${method}: ${String(error)}`),
  );
  panel.onDidDispose(() => {
    closed.abort();
    for (const listener of listeners) listener.dispose();
  });
  panel.webview.html = pageHtml(panel.webview, extensionUri, { name, title });
  return send;
}

/** Handlers that hand a page's calls of these methods on to the language server; a page that is closed cancels them. */
export function passOn<K extends keyof PageMethods>(
  server: ServerConnection,
  methods: readonly K[],
  closed: AbortSignal,
): Handlers<Pick<PageMethods, K>> {
  return Object.fromEntries(
    methods.map((method) => [
      method,
      (params: Parameters<PageMethods[K]>[0], signal: AbortSignal) =>
        server.call(method, params, { signal: AbortSignal.any([signal, closed]) }),
    ]),
  ) as unknown as Handlers<Pick<PageMethods, K>>;
}

/** Where a page opens: beside the text that it is about, if there is one. */
export function besideEditor(): vscode.ViewColumn {
  return vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
}

/** A page of which a window has one at most, while there is one. */
export class SinglePage<Table> implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #parts: PageParts<Table>;
  readonly #registration: vscode.Disposable | undefined;
  readonly #onRestore: ((state: unknown) => void) | undefined;
  #panel: vscode.WebviewPanel | undefined;
  #send: SendEvent | undefined;

  /** `onRestore`: told what the page remembered when a reload of the window brings it back; without it none does. */
  constructor(parts: PageParts<Table>, onRestore?: (state: unknown) => void) {
    this.#parts = parts;
    this.#onRestore = onRestore;
    this.#registration =
      onRestore && vscode.window.registerWebviewPanelSerializer(this.#viewType, this);
  }

  /** Brings the open page to the front; false if there is none. */
  reveal(preserveFocus = false): boolean {
    this.#panel?.reveal(undefined, preserveFocus);
    return this.#panel !== undefined;
  }

  /** Opens the page; a former one is closed. */
  open(viewColumn: vscode.ViewColumn, preserveFocus = false): void {
    this.close();
    const place = { viewColumn, preserveFocus };
    const { title } = this.#parts;
    this.#show(vscode.window.createWebviewPanel(this.#viewType, title, place, {}));
  }

  /** Tells the open page. */
  event(event: string, params: unknown): void {
    this.#send?.(event, params);
  }

  close(): void {
    this.#panel?.dispose();
  }

  /** Brings the page back after a reload of the window. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    this.#onRestore?.(state);
    if (this.#panel) panel.dispose();
    else this.#show(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.close();
    this.#registration?.dispose();
  }

  get #viewType(): string {
    return `latentWorkbench.${this.#parts.name}`;
  }

  #show(panel: vscode.WebviewPanel): void {
    this.#panel = panel;
    this.#send = connectPage(panel, this.#parts);
    panel.onDidDispose(() => {
      if (this.#panel === panel) this.#panel = this.#send = undefined;
    });
  }
}
