/** The status bar item: language model, SAE, device and state of the active document; a click opens the menu. */
import * as vscode from "vscode";
import type { DocumentStatus } from "../server/protocol/page.ts";
import { activeTextEditor, isProse } from "./documents.ts";
import { statusLabel, statusText } from "./status-text.ts";
import type { Statuses } from "./statuses.ts";

/** Shows the item and keeps it and the context key `latentWorkbench.fileState` up to date. */
export function showStatusBar(statuses: Statuses): vscode.Disposable {
  const item = vscode.window.createStatusBarItem(
    "latentWorkbench.status",
    vscode.StatusBarAlignment.Right,
    90,
  );
  item.name = "Latent Workbench";
  item.command = "latentWorkbench.showMenu";
  const update = (): void => {
    const editor = activeTextEditor();
    const status = editor && statuses.get(editor.document.uri.toString());
    void vscode.commands.executeCommand(
      "setContext",
      "latentWorkbench.fileState",
      editor ? (status?.state ?? "off") : undefined,
    );
    draw(item, status);
    if (editor && (isProse(editor.document) || (status && status.state !== "off"))) item.show();
    else item.hide();
  };
  update();
  return vscode.Disposable.from(
    item,
    statuses.onChanged(update),
    vscode.window.onDidChangeActiveTextEditor(update),
  );
}

function draw(item: vscode.StatusBarItem, status: DocumentStatus | undefined): void {
  item.text = statusText(status);
  item.accessibilityInformation = { label: statusLabel(status), role: "button" };
  item.backgroundColor =
    status?.state === "failed"
      ? new vscode.ThemeColor("statusBarItem.warningBackground")
      : undefined;
  item.tooltip = tooltip(status);
}

function tooltip(status: DocumentStatus | undefined): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown("**Latent Workbench**\n\n");
  if (!status) return text.appendText("Click to choose a model, an SAE, or to read this file.");
  if (status.text) text.appendText(status.text).appendMarkdown("\n\n");
  if (status.lm) text.appendMarkdown("Language model: ").appendText(status.lm);
  if (status.saes.length > 0) text.appendMarkdown("  \nSAEs: ").appendText(status.saes.join(", "));
  if (status.device) text.appendMarkdown("  \nDevice: ").appendText(status.device);
  return text;
}
