/** Tells the server what is selected, so that a hover inside a selection reads its tokens as one. */
import * as vscode from "vscode";
import { isText } from "./documents.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Quiet time after the last change of a selection before the server hears of it; shorter than a hover's delay. */
const pauseMs = 80;

/** Follows the selections of all editors while the server runs. */
export function followSelections(
  server: ServerConnection,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const subscription = vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
    const { document } = textEditor;
    if (!server.wanted || !isText(document)) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { start, end } = textEditor.selection;
      const params = {
        uri: document.uri.toString(),
        startOffset: document.offsetAt(start),
        endOffset: document.offsetAt(end),
      };
      server.call("select", params).catch((error: unknown) => log.debug(String(error)));
    }, pauseMs);
  });
  return new vscode.Disposable(() => {
    clearTimeout(timer);
    subscription.dispose();
  });
}
