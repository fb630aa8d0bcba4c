/**
 * The explorer page: one for the window, with a list of latents and the dashboard of one. It asks the language server by
 * range; commands about latents are run here.
 */
import * as vscode from "vscode";
import type {
  ExplorerHostMethods,
  ExplorerMethods,
  ExplorerPageEvents,
  LatentQuery,
} from "../server/protocol/explorer.ts";
import type { PageMethods } from "../server/protocol/page.ts";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

const viewType = "latentWorkbench.explorer";

/** The methods of the language server that the page may call. */
const passedOn = [
  "explorerSaes",
  "latents",
  "latentDashboard",
  "latentContexts",
  "latentPlaces",
  "testLatent",
  "setLabel",
] as const satisfies readonly (keyof ExplorerMethods)[];

type PageTable = Pick<PageMethods, (typeof passedOn)[number]> & ExplorerHostMethods;

/** What the page is to show. */
export interface ExplorerPlace {
  readonly sae: string;
  readonly latent?: number;
  readonly query?: LatentQuery;
}

/** The page, while there is one; also brings it back after a reload of the window. */
export class ExplorerPage implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #subscriptions: vscode.Disposable[];
  #panel: vscode.WebviewPanel | undefined;
  #send: ((event: string, params: unknown) => void) | undefined;
  #place: Partial<ExplorerPlace> = {};

  constructor(
    extensionUri: vscode.Uri,
    { server, runs, log }: { server: ServerConnection; runs: Runs; log: vscode.LogOutputChannel },
  ) {
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
    const changed = (): void => this.#event("changed", {});
    this.#subscriptions = [
      vscode.window.registerWebviewPanelSerializer(viewType, this),
      server.onChanged(changed),
      // A finished run may be an index.
      runs.onStateChanged(changed),
    ];
  }

  /** Opens the page, at a latent or a search if one is given, or brings it to the front. */
  open(place: Partial<ExplorerPlace>): void {
    if (place.sae !== undefined) this.#place = place;
    if (this.#panel) {
      this.#panel.reveal(undefined, false);
      if (place.sae !== undefined) this.#event("select", place as ExplorerPlace);
      return;
    }
    const column = vscode.window.activeTextEditor
      ? vscode.ViewColumn.Beside
      : vscode.ViewColumn.Active;
    this.#show(vscode.window.createWebviewPanel(viewType, "Latents", column, {}));
  }

  /** Brings the page back after a reload of the window; what it showed it remembers itself. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    if (this.#panel) panel.dispose();
    else this.#show(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.#panel?.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
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
      this.#log.error(`explorer page, ${method}: ${String(error)}`),
    );
    panel.onDidDispose(() => {
      for (const listener of listeners) listener.dispose();
      if (this.#panel === panel) this.#panel = this.#send = undefined;
    });
    panel.webview.html = pageHtml(panel.webview, this.#extensionUri, {
      name: "explorer",
      title: "Latents",
    });
  }

  #event<E extends keyof ExplorerPageEvents>(event: E, params: ExplorerPageEvents[E]): void {
    this.#send?.(event, params);
  }

  #handlers(): Handlers<PageTable> {
    const forwarded = Object.fromEntries(
      passedOn.map((method) => [
        method,
        (params: never, signal: AbortSignal) => this.#server.call(method, params, { signal }),
      ]),
    ) as unknown as Handlers<Pick<PageTable, (typeof passedOn)[number]>>;
    return {
      ...forwarded,
      start: () => this.#place,
      reveal: ({ uri, startOffset, endOffset }) => reveal(uri, startOffset, endOffset),
      runCommand: async ({ command, ...latent }) => {
        await vscode.commands.executeCommand(`latentWorkbench.${command}`, latent);
        this.#event("changed", {});
        return null;
      },
    };
  }
}

async function reveal(uri: string, startOffset: number, endOffset: number): Promise<null> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri, true));
  const editor = await vscode.window.showTextDocument(document, {
    viewColumn: vscode.ViewColumn.One,
    preserveFocus: false,
  });
  const range = [document.positionAt(startOffset), document.positionAt(endOffset)] as const;
  editor.selection = new vscode.Selection(...range);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  return null;
}
