/**
 * The pages that compare texts: one of each kind for the window, about what was asked last. What they show they ask of the language
 * server; places and pins are passed to the editor.
 */
import * as vscode from "vscode";
import type {
  ComparisonEvents,
  ComparisonHostMethods,
  ComparisonMethods,
} from "../server/protocol/comparison.ts";
import type { Handlers } from "../server/protocol/rpc.ts";
import { besideEditor, SinglePage } from "./page-panel.ts";
import type { ServerConnection } from "./server-connection.ts";

type Method = keyof ComparisonMethods;
type Asked<M extends Method> = Parameters<ComparisonMethods[M]>[0];
type PageTable<M extends Method> = Pick<ComparisonMethods, M> & ComparisonHostMethods<Asked<M>>;

/** What a page is about. */
export interface Comparison<M extends Method> {
  readonly asked: Asked<M>;
  /** The texts' names, and the files that places are shown in; a text of no file has none. */
  readonly texts: readonly { readonly name: string; readonly uri?: vscode.Uri }[];
}

/** What tells the pages apart. */
export interface ComparisonKind<M extends Method> {
  /** Of its script and of its view. */
  readonly name: "comparison" | "counterfactual";
  readonly title: string;
  /** The server's method that answers it. */
  readonly method: M;
}

/** One kind of page, while there is one. */
export class ComparisonPage<M extends Method> implements vscode.Disposable {
  readonly #kind: ComparisonKind<M>;
  readonly #server: ServerConnection;
  readonly #page: SinglePage<PageTable<M>>;
  #shown: Comparison<M> | undefined;

  constructor(
    kind: ComparisonKind<M>,
    {
      extensionUri,
      server,
      log,
    }: { extensionUri: vscode.Uri; server: ServerConnection; log: vscode.LogOutputChannel },
  ) {
    this.#kind = kind;
    this.#server = server;
    const { name, title } = kind;
    const handlers = (closed: AbortSignal): Handlers<PageTable<M>> => this.#handlers(closed);
    this.#page = new SinglePage({ name, title, extensionUri, log, handlers });
  }

  /** Opens the page, or turns the open one to this. */
  open(comparison: Comparison<M>): void {
    this.#shown = comparison;
    if (this.#page.reveal(true)) this.#event("restart", null);
    else this.#page.open(besideEditor(), true);
  }

  dispose(): void {
    this.#page.dispose();
  }

  #event<E extends keyof ComparisonEvents>(event: E, params: ComparisonEvents[E]): void {
    this.#page.event(event, params);
  }

  #handlers(closed: AbortSignal): Handlers<PageTable<M>> {
    const { method } = this.#kind;
    const onProgress = (text: string, percentage?: number): void =>
      this.#event("progress", { text, ...(percentage === undefined ? {} : { percentage }) });
    const host: Handlers<ComparisonHostMethods<Asked<M>>> = {
      start: () => ({
        asked: this.#shown!.asked,
        names: this.#shown!.texts.map(({ name }) => name),
      }),
      reveal: async ({ text, startOffset, endOffset }) => {
        const uri = this.#shown?.texts[text]?.uri;
        if (uri) await reveal(uri, startOffset, endOffset);
        return null;
      },
      pin: async (latent) => {
        await vscode.commands.executeCommand("latentWorkbench.pinLatent", latent);
        return null;
      },
    };
    const answer = (params: Asked<M>, signal: AbortSignal): unknown =>
      this.#server.call(method, params as never, {
        signal: AbortSignal.any([signal, closed]),
        onProgress,
      });
    return { ...host, [method]: answer } as unknown as Handlers<PageTable<M>>;
  }
}

async function reveal(uri: vscode.Uri, startOffset: number, endOffset: number): Promise<void> {
  const document = await vscode.workspace.openTextDocument(uri);
  const visible = vscode.window.visibleTextEditors.find((it) => it.document === document);
  const column = visible?.viewColumn ?? vscode.ViewColumn.One;
  const editor = await vscode.window.showTextDocument(document, column, true);
  const range = new vscode.Range(document.positionAt(startOffset), document.positionAt(endOffset));
  editor.selection = new vscode.Selection(range.start, range.end);
  editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}
