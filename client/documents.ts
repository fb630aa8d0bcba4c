/** Which documents concern us, as far as the client must know; the server decides what is analysed. */
import * as vscode from "vscode";

/** Kinds of documents that are sent to the server: real texts in any language, no output channels or diffs. */
export const documentSelector: { scheme: string }[] = [
  { scheme: "file" },
  { scheme: "untitled" },
  { scheme: "vscode-notebook-cell" },
  { scheme: "vscode-vfs" },
];

const textLanguages = new Set(["plaintext", "markdown", "prompt", "prompty", "jsonl"]);

/** True for a document that the server could read. */
export function isText(document: vscode.TextDocument): boolean {
  return documentSelector.some(({ scheme }) => scheme === document.uri.scheme);
}

/** True for a document where a researcher would look for us, analysed or not. */
export function isProse(document: vscode.TextDocument): boolean {
  return isText(document) && textLanguages.has(document.languageId);
}

/**
 * True for a document that may be analysed without being switched on: reason enough to start the server.
 * Front matter is only suspected here; the server reads it.
 */
export function mayBeAnalysed(document: vscode.TextDocument): boolean {
  if (!isText(document)) return false;
  const globs = vscode.workspace.getConfiguration("latentWorkbench").get<string[]>("files", []);
  if (globs.some((pattern) => vscode.languages.match({ pattern }, document) > 0)) return true;
  return isProse(document) && document.lineCount > 0 && document.lineAt(0).text.trim() === "---";
}

/**
 * The editor that a command without arguments means, if it shows a text: the active one, or the one beside a page
 * that has the focus.
 */
export function activeTextEditor(): vscode.TextEditor | undefined {
  const { activeTextEditor: active, visibleTextEditors: visible } = vscode.window;
  return [...(active ? [active] : visible)].find(({ document }) => isText(document));
}

/** True for files that say how to train: `run.jsonc` and `NAME.run.jsonc`. */
export function isRunFile(uri: vscode.Uri): boolean {
  return uri.scheme === "file" && /(^|[/.])run\.jsonc?$/i.test(uri.path);
}
