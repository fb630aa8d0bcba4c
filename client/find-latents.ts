/** The command that finds latents by examples: what is selected, against other selections, other lines, or a file. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { FindSelection, FindSet } from "../server/protocol/find.ts";
import type { ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";
import { saeOf } from "./explorer-commands.ts";

const title = "Find latents for selections";

/** Asks for two sets of examples and an SAE; lists what tells them apart in the explorer. */
export async function findLatents(parts: ClientParts): Promise<void> {
  const editor = activeTextEditor();
  const selected = editor ? selectionsOf(editor) : [];
  const positive: FindSet | undefined =
    selected.length > 0
      ? { selections: selected }
      : await askForFile("The first examples, one a line");
  if (!positive) return;
  const negative = await askForOthers(editor, selected);
  if (!negative) return;
  const sae = await saeOf(parts, undefined, `${title}: of which SAE`);
  if (!sae) return;
  const controller = new AbortController();
  const { search } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: "Finding latents", cancellable: true },
    (progress, cancelled) => {
      cancelled.onCancellationRequested(() => controller.abort());
      let done = 0;
      return parts.server.call(
        "findByExamples",
        { sae: sae.id, positive, negative, pool: "max" },
        {
          signal: controller.signal,
          onProgress: (message, percentage = done) => {
            progress.report({ message, increment: Math.max(0, percentage - done) });
            done = Math.max(done, percentage);
          },
        },
      );
    },
  );
  parts.explorer.open({ sae: sae.id, query: { kind: "found", search } });
}

type Others = "lines" | "selections" | "file";

/** The examples that the first ones are to be told from. */
async function askForOthers(
  editor: vscode.TextEditor | undefined,
  selected: readonly FindSelection[],
): Promise<FindSet | undefined> {
  const lines = editor && selected.length > 0 ? otherLines(editor, selected) : [];
  const choices: (vscode.QuickPickItem & { others: Others })[] = [
    ...(lines.length > 0
      ? [
          {
            others: "lines" as const,
            label: "The other lines of this file",
            detail: `${lines.length} lines without a selection`,
          },
        ]
      : []),
    {
      others: "selections",
      label: "Other selections",
      detail: "that you make next, in this or another editor",
    },
    { others: "file", label: "A file…", detail: "each of its lines is an example" },
  ];
  const chosen = await vscode.window.showQuickPick(choices, {
    title,
    placeHolder:
      selected.length > 0
        ? `${selected.length} examples are selected. What are they to be told from?`
        : "What are the first examples to be told from?",
  });
  if (!chosen) return undefined;
  if (chosen.others === "lines") return { selections: lines };
  if (chosen.others === "file") return askForFile("The other examples, one a line");
  return askForSelections(selected);
}

/** Waits, open to the side, until the user has selected the others. */
async function askForSelections(first: readonly FindSelection[]): Promise<FindSet | undefined> {
  const go = { label: "$(check) They are selected now" };
  const chosen = await vscode.window.showQuickPick([go], {
    title,
    placeHolder: "Select the other examples in any editor, then choose this",
    ignoreFocusOut: true,
  });
  const editor = activeTextEditor();
  if (!chosen || !editor) return undefined;
  const selections = selectionsOf(editor);
  if (selections.length === 0 || JSON.stringify(selections) === JSON.stringify(first))
    throw new UserError(
      "no-other-selection",
      "nothing else is selected than before: the other examples have to be selected too",
    );
  return { selections };
}

/** Each selection, or each line of a single selection of several lines. */
function selectionsOf({ document, selections }: vscode.TextEditor): FindSelection[] {
  const own = selections.filter((it) => !it.isEmpty);
  const [only] = own;
  const ranges: readonly vscode.Range[] =
    own.length === 1 && only && !only.isSingleLine ? linesOf(document, only) : own;
  return ranges.map((range) => offsetsOf(document, range));
}

/** Lines that no selection touches. */
function otherLines(
  { document }: vscode.TextEditor,
  selected: readonly FindSelection[],
): FindSelection[] {
  const last = document.lineAt(document.lineCount - 1).range.end;
  return linesOf(document, new vscode.Range(new vscode.Position(0, 0), last))
    .map((range) => offsetsOf(document, range))
    .filter(
      (line) =>
        !selected.some((it) => it.startOffset < line.endOffset && line.startOffset < it.endOffset),
    );
}

/** Lines of a range that are not blank, cut to it. */
function linesOf(document: vscode.TextDocument, range: vscode.Range): vscode.Range[] {
  const lines: vscode.Range[] = [];
  for (let line = range.start.line; line <= range.end.line; line++) {
    const part = document.lineAt(line).range.intersection(range);
    if (part && document.getText(part).trim() !== "") lines.push(part);
  }
  return lines;
}

function offsetsOf(document: vscode.TextDocument, { start, end }: vscode.Range): FindSelection {
  const uri = document.uri.toString();
  return { uri, startOffset: document.offsetAt(start), endOffset: document.offsetAt(end) };
}

async function askForFile(what: string): Promise<FindSet | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: what,
    openLabel: "Take",
    filters: { Texts: ["txt", "md", "jsonl"], "All files": ["*"] },
  });
  const file = picked?.[0]?.fsPath;
  return file === undefined ? undefined : { file };
}
