/** Showing a range of a file that a page is about. */
import * as vscode from "vscode";

/** UTF-16 offsets of a file. */
interface FileRange {
  readonly uri: string;
  readonly startOffset: number;
  readonly endOffset: number;
}

/** Selects the range in an editor, in the column where the file is open already. `preserveFocus`: the page keeps the focus. */
export async function revealRange(
  { uri, startOffset, endOffset }: FileRange,
  { preserveFocus }: { readonly preserveFocus: boolean },
): Promise<null> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri, true));
  const visible = vscode.window.visibleTextEditors.find((it) => it.document === document);
  const viewColumn = visible?.viewColumn ?? vscode.ViewColumn.One;
  const editor = await vscode.window.showTextDocument(document, { viewColumn, preserveFocus });
  const range = [document.positionAt(startOffset), document.positionAt(endOffset)] as const;
  editor.selection = new vscode.Selection(...range);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  return null;
}
