/** Texts that commands answer with, shown as documents that nobody is asked to save. */
import * as vscode from "vscode";

const scheme = "latent-workbench-report";

/** The newest text of each report. */
export class Reports implements vscode.Disposable, vscode.TextDocumentContentProvider {
  readonly #texts = new Map<string, string>();
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  readonly #subscription: vscode.Disposable;

  readonly onDidChange: vscode.Event<vscode.Uri> = this.#changed.event;

  constructor() {
    this.#subscription = vscode.workspace.registerTextDocumentContentProvider(scheme, this);
  }

  /** Shows a report under its title, where the cursor is or in a column; a second one of the same title replaces the first. */
  async show(title: string, text: string, viewColumn?: vscode.ViewColumn): Promise<void> {
    const uri = vscode.Uri.from({ scheme, path: `/${title}.txt` });
    this.#texts.set(uri.toString(), text);
    this.#changed.fire(uri);
    const place = viewColumn === undefined ? {} : { viewColumn };
    await vscode.window.showTextDocument(uri, { preview: true, ...place });
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#texts.get(uri.toString()) ?? "";
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }
}
