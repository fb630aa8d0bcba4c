/**
 * The pages about decoders, the meta-SAE explorer and stitching, and the one about absorption: one of each for the window. Questions go on to the language
 * server; files and folders are picked here.
 */
import * as vscode from "vscode";
import type { AbsorptionPageMethods } from "../server/protocol/absorption.ts";
import type { DecoderHostMethods, DecoderPageMethods } from "../server/protocol/decoder-pages.ts";
import { type Handlers, type Port, serve } from "../server/protocol/rpc.ts";
import { rememberChoice } from "./choose-models.ts";
import { activeTextEditor } from "./documents.ts";
import { pageHtml, pageOptions } from "./page-html.ts";
import type { ServerConnection } from "./server-connection.ts";

type ServerMethods = DecoderPageMethods & AbsorptionPageMethods;

/** What tells the pages apart. */
export interface DecoderPageKind {
  /** Of its script and of its view. */
  readonly name: "meta" | "stitching" | "absorption";
  readonly title: string;
  /** The methods of the server that it may call. */
  readonly passedOn: readonly (keyof ServerMethods)[];
}

/** The meta-SAE explorer. */
export const metaPage: DecoderPageKind = {
  name: "meta",
  title: "Meta-SAE",
  passedOn: [
    "metaPairs",
    "metaOverview",
    "metaSearch",
    "metaBreakdown",
    "metaMemberRows",
    "metaCompare",
  ],
};

/** Stitching. */
export const stitchingPage: DecoderPageKind = {
  name: "stitching",
  title: "Stitch SAEs",
  passedOn: ["stitchCandidates", "stitchMeasure", "stitchProgress", "stitchLatents", "stitchWrite"],
};

/** Absorption. */
export const absorptionPage: DecoderPageKind = {
  name: "absorption",
  title: "Absorption",
  passedOn: ["absorptionChoices", "measureAbsorption", "absorptionProgress"],
};

type PageTable = ServerMethods & DecoderHostMethods;

/** A page, while there is one; also brings it back after a reload of the window. */
export class DecoderPage implements vscode.Disposable, vscode.WebviewPanelSerializer {
  readonly #kind: DecoderPageKind;
  readonly #extensionUri: vscode.Uri;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #subscription: vscode.Disposable;
  #panel: vscode.WebviewPanel | undefined;
  #start: ReturnType<DecoderHostMethods["start"]> = {};

  constructor(
    kind: DecoderPageKind,
    {
      extensionUri,
      server,
      log,
    }: { extensionUri: vscode.Uri; server: ServerConnection; log: vscode.LogOutputChannel },
  ) {
    this.#kind = kind;
    this.#extensionUri = extensionUri;
    this.#server = server;
    this.#log = log;
    this.#subscription = vscode.window.registerWebviewPanelSerializer(this.#viewType, this);
  }

  /** Opens the page about the models of the active editor, or brings it to the front; `latent`: where to begin. */
  open(latent?: number): void {
    const uri = activeTextEditor()?.document.uri.toString();
    this.#start = {
      ...(uri === undefined ? {} : { uri }),
      ...(latent === undefined ? {} : { latent }),
    };
    if (this.#panel && latent === undefined) {
      this.#panel.reveal();
      return;
    }
    this.#panel?.dispose();
    const column = vscode.window.activeTextEditor
      ? vscode.ViewColumn.Beside
      : vscode.ViewColumn.Active;
    this.#show(vscode.window.createWebviewPanel(this.#viewType, this.#kind.title, column, {}));
  }

  /** Brings the page back after a reload of the window. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    if (this.#panel) panel.dispose();
    else this.#show(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.#panel?.dispose();
    this.#subscription.dispose();
  }

  get #viewType(): string {
    return `latentWorkbench.${this.#kind.name}`;
  }

  #show(panel: vscode.WebviewPanel): void {
    this.#panel = panel;
    const { name, title } = this.#kind;
    const listeners: vscode.Disposable[] = [];
    panel.iconPath = vscode.Uri.joinPath(this.#extensionUri, "media/page.svg");
    panel.webview.options = pageOptions(this.#extensionUri);
    const port: Port = {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview's, not a window's
      post: (message) => void (this.#panel === panel && panel.webview.postMessage(message)),
      onMessage: (listener) => void listeners.push(panel.webview.onDidReceiveMessage(listener)),
    };
    serve<PageTable>(port, this.#handlers(), (error, method) =>
      this.#log.error(`${title}, ${method}: ${String(error)}`),
    );
    // Work that only a closed page waits for need not go on.
    const closed = new AbortController();
    this.#closed = closed.signal;
    panel.onDidDispose(() => {
      closed.abort();
      for (const listener of listeners) listener.dispose();
      if (this.#panel === panel) this.#panel = undefined;
    });
    panel.webview.html = pageHtml(panel.webview, this.#extensionUri, { name, title });
  }

  #closed: AbortSignal | undefined;

  #handlers(): Handlers<PageTable> {
    const passedOn = Object.fromEntries(
      this.#kind.passedOn.map((method) => [
        method,
        (params: never, signal: AbortSignal) =>
          this.#server.call(method, params, {
            signal: this.#closed ? AbortSignal.any([signal, this.#closed]) : signal,
          }),
      ]),
    ) as unknown as Handlers<ServerMethods>;
    return {
      ...passedOn,
      start: () => this.#start,
      pickTexts: async () => {
        const picked = await vscode.window.showOpenDialog({
          canSelectMany: true,
          canSelectFolders: true,
          title: "Texts to measure on",
          filters: { Texts: ["txt", "md", "jsonl", "gz", "parquet"], "All files": ["*"] },
        });
        return (picked ?? []).map((it) => it.fsPath);
      },
      pickFolder: ({ name: suggested }) => pickFolder(suggested),
      useSae: async ({ folder }) => {
        const { saes } = await this.#server.call("stitchUse", { folder });
        await rememberChoice({ log: this.#log }, "saes", saes);
        return null;
      },
    };
  }
}

/** A folder that is not there yet, in the workspace at first. */
async function pickFolder(name: string): Promise<{ folder?: string }> {
  const root = vscode.workspace.workspaceFolders?.[0]?.uri;
  const picked = await vscode.window.showSaveDialog({
    ...(root ? { defaultUri: vscode.Uri.joinPath(root, name) } : {}),
    title: "Folder of the stitched SAE",
    saveLabel: "Write SAE",
  });
  return picked ? { folder: picked.fsPath } : {};
}
