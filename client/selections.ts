/** Tells the server what is selected, so that a hover inside a selection reads the selected tokens as one. */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import { isText } from "./documents.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Quiet time after the selection changed. */
const pauseMs = 50;

/** Follows the selections of all editors until disposed. */
export function followSelections(
  server: ServerConnection,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const wasEmpty = new Map<string, boolean>();
  const report = async (editor: vscode.TextEditor): Promise<void> => {
    const { document, selection } = editor;
    const uri = document.uri.toString();
    // A cursor that moves selects nothing, again and again; the server needs to hear of it once.
    if (selection.isEmpty && wasEmpty.get(uri) !== false) return;
    wasEmpty.set(uri, selection.isEmpty);
    const startOffset = document.offsetAt(selection.start);
    const endOffset = document.offsetAt(selection.end);
    try {
      await server.call("select", { uri, startOffset, endOffset });
    } catch (error) {
      if (!isCancelled(error)) log.debug(`selection: ${String(error)}`);
    }
  };
  return vscode.Disposable.from(
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
      if (!server.wanted || !isText(textEditor.document)) return;
      clearTimeout(timer);
      timer = setTimeout(() => void report(textEditor), pauseMs);
    }),
    vscode.workspace.onDidCloseTextDocument(({ uri }) => wasEmpty.delete(uri.toString())),
    { dispose: () => clearTimeout(timer) },
  );
}
