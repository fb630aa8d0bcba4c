/**
 * Heat in editors: a background behind each token of the visible lines, in five theme colours. What the server
 * answered is kept for each document and painted again whenever an editor shows the document, because the answer
 * may come before the editor is visible.
 */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import { type HeatSpan, heatSteps } from "../server/protocol/page.ts";
import type { PinMark } from "../server/protocol/pins.ts";
import { isText } from "./documents.ts";
import { spansByStep } from "./heat-spans.ts";
import { PinDecorations, rangeOf } from "./pin-decorations.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Which heat is shown. */
export type ShownHeat = "off" | "activation" | "pinned";

const key = "latentWorkbench.heat";
/** Quiet time before the server is asked again while scrolling or typing. */
const pauseMs = 60;
/** Lines beyond the visible ones that are painted too, so that scrolling does not flicker. */
const margin = 20;

interface Painted {
  readonly version: number;
  readonly spans: readonly HeatSpan[];
  /** Lines in which pinned latents fire. */
  readonly marks: readonly PinMark[];
}

/** The decorations of all visible editors. */
export class HeatDecorations implements vscode.Disposable {
  readonly #memory: vscode.Memento;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #types: readonly vscode.TextEditorDecorationType[];
  readonly #pins = new PinDecorations();
  readonly #byUri = new Map<string, Painted>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #subscriptions: vscode.Disposable[];
  readonly #shown = new vscode.EventEmitter<ShownHeat>();

  /** Another heat is shown. */
  readonly onShown = this.#shown.event;

  constructor(memory: vscode.Memento, server: ServerConnection, log: vscode.LogOutputChannel) {
    this.#memory = memory;
    this.#server = server;
    this.#log = log;
    this.#types = Array.from({ length: heatSteps }, (_, step) =>
      vscode.window.createTextEditorDecorationType({
        backgroundColor: new vscode.ThemeColor(`latentWorkbench.heat${step + 1}`),
        borderRadius: "2px",
        rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
      }),
    );
    this.#subscriptions = [
      ...this.#types,
      this.#pins,
      this.#shown,
      vscode.window.onDidChangeVisibleTextEditors((editors) => {
        for (const editor of editors) this.#paint(editor);
        this.#askAll();
      }),
      vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) =>
        this.#askSoon(textEditor.document),
      ),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#byUri.delete(uri.toString())),
      server.onChanged(({ uris }) => {
        for (const { document } of vscode.window.visibleTextEditors)
          if (uris.includes(document.uri.toString())) this.#askSoon(document);
      }),
    ];
  }

  /** Which heat is shown in this workspace. */
  get shown(): ShownHeat {
    return this.#memory.get<ShownHeat>(key, "off");
  }

  /** Shows another heat, or none. */
  async show(shown: ShownHeat): Promise<void> {
    await this.#memory.update(key, shown);
    this.#byUri.clear();
    for (const editor of vscode.window.visibleTextEditors) this.#paint(editor);
    this.#askAll();
    this.#shown.fire(shown);
  }

  /** The spans that are painted for a document. */
  spans(uri: string): readonly HeatSpan[] {
    return this.#byUri.get(uri)?.spans ?? [];
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #askAll(): void {
    for (const { document } of vscode.window.visibleTextEditors) this.#askSoon(document);
  }

  #askSoon(document: vscode.TextDocument): void {
    if (this.shown === "off" || !isText(document) || !this.#server.wanted) return;
    const uri = document.uri.toString();
    clearTimeout(this.#timers.get(uri));
    this.#timers.set(
      uri,
      setTimeout(() => {
        this.#timers.delete(uri);
        void this.#ask(document);
      }, pauseMs),
    );
  }

  async #ask(document: vscode.TextDocument): Promise<void> {
    const shown = this.shown;
    const lines = visibleLines(document);
    if (shown === "off" || lines === undefined) return;
    const uri = document.uri.toString();
    try {
      const { version, spans } = await this.#server.call("heat", { uri, ...lines, mode: shown });
      const { marks } =
        shown === "pinned" ? await this.#server.call("pinMarks", { uri }) : { marks: [] };
      // An answer about another version would paint the wrong characters; a notice follows for the new one.
      if (version !== document.version || shown !== this.shown) return;
      this.#byUri.set(uri, { version, spans, marks });
    } catch (error) {
      if (isCancelled(error)) return;
      this.#log.debug(`heat of ${uri}: ${String(error)}`);
      this.#byUri.delete(uri);
    }
    for (const editor of vscode.window.visibleTextEditors)
      if (editor.document === document) this.#paint(editor);
  }

  #paint(editor: vscode.TextEditor): void {
    const painted = this.#byUri.get(editor.document.uri.toString());
    // Ranges of an older version were moved along by the editor; painting them anew would undo that.
    if (painted && painted.version !== editor.document.version) return;
    const spans = painted?.spans ?? [];
    this.#pins.paint(editor, spans);
    this.#pins.mark(editor, painted?.marks ?? []);
    const steps = spansByStep(spans.filter(({ colour }) => colour === undefined));
    for (const [step, type] of this.#types.entries()) {
      editor.setDecorations(type, (steps[step] ?? []).map(rangeOf));
    }
  }
}

/** The lines that any visible editor shows of a document, with a margin. */
function visibleLines(
  document: vscode.TextDocument,
): { fromLine: number; toLine: number } | undefined {
  const ranges = vscode.window.visibleTextEditors
    .filter((editor) => editor.document === document)
    .flatMap((editor) => editor.visibleRanges);
  if (ranges.length === 0) return undefined;
  const fromLine = Math.min(...ranges.map((range) => range.start.line)) - margin;
  const toLine = Math.max(...ranges.map((range) => range.end.line)) + margin;
  return { fromLine: Math.max(0, fromLine), toLine: Math.min(document.lineCount, toLine) };
}
