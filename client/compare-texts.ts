/** The commands that open the pages about texts beside each other. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";
import { textInHead } from "./git-head.ts";

/** The active text as of git HEAD beside what the editor has. */
export async function compareWithHead({ comparisons }: ClientParts): Promise<void> {
  const { document } = activeText();
  const name = nameOf(document.uri);
  const before = { uri: document.uri.toString(), text: await textInHead(document) };
  comparisons.open({
    asked: { before, after: textOf(document), tokens: "all" },
    texts: [{ name: `${name} (HEAD)` }, { name, uri: document.uri }],
  });
}

/** Two files that are picked: the active one first, if there is one. */
export async function compareTwoFiles({ comparisons }: ClientParts): Promise<void> {
  const active = activeTextEditor()?.document.uri;
  const first = await pickText("The first text", active);
  const second = first && (await pickText(`The text beside ${nameOf(first)}`, undefined, first));
  if (!second) return;
  const [before, after] = [
    await vscode.workspace.openTextDocument(first),
    await vscode.workspace.openTextDocument(second),
  ];
  comparisons.open({
    asked: { before: textOf(before), after: textOf(after), tokens: "all" },
    texts: [first, second].map((uri) => ({ name: nameOf(uri), uri })),
  });
}

/** The context at the cursor without each of its sentences. */
export async function openCounterfactual({ counterfactuals, server }: ClientParts): Promise<void> {
  const { document, selection } = activeText();
  const of = document.uri.toString();
  const offset = document.offsetAt(selection.active);
  const at = (await server.call("tokenAt", { uri: of, offset })) ?? { context: 0 };
  const texts = [{ name: nameOf(document.uri), uri: document.uri }];
  counterfactuals.open({ asked: { uri: of, context: at.context }, texts });
}

function activeText(): vscode.TextEditor {
  const editor = activeTextEditor();
  if (!editor)
    throw new UserError(
      "no-text-open",
      "no text is open in the active editor: open the text to compare, then run the command again",
    );
  return editor;
}

function textOf(document: vscode.TextDocument): { uri: string; text: string } {
  return { uri: document.uri.toString(), text: document.getText() };
}

interface TextItem extends vscode.QuickPickItem {
  readonly uri?: vscode.Uri;
}

const texts = "**/*.{txt,md,prompty,jsonl,ndjson}";

/** A text of the workspace or any other; `proposed` comes first, `without` not at all. */
async function pickText(
  title: string,
  proposed?: vscode.Uri,
  without?: vscode.Uri,
): Promise<vscode.Uri | undefined> {
  const found = await vscode.workspace.findFiles(texts, "**/node_modules/**", 500);
  const rest = found
    .filter((uri) => ![proposed?.path, without?.path].includes(uri.path))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const items: TextItem[] = [...(proposed ? [proposed] : []), ...rest].map((uri) => ({
    uri,
    label: nameOf(uri),
    description: vscode.workspace.asRelativePath(uri),
  }));
  const other: TextItem = { label: "$(folder-opened) Another file…" };
  const chosen = await vscode.window.showQuickPick([...items, other], {
    title,
    matchOnDescription: true,
  });
  if (chosen !== other) return chosen?.uri;
  return (await vscode.window.showOpenDialog({ title }))?.[0];
}

function nameOf(uri: vscode.Uri): string {
  return uri.path.split("/").at(-1) || uri.toString();
}
