/** Commands about runs. Each takes the run of a list, a page or a code lens, or asks which one is meant. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { RunInfo } from "../server/protocol/runs.ts";
import { figuresText, isActive, mayStart } from "../server/protocol/runs-text.ts";
import { rememberChoice } from "./choose-models.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { isRunFile } from "./documents.ts";

/** Starts a run or goes on with it, and shows its training page and its progress. */
export async function startRun(parts: ClientParts, folder: string): Promise<void> {
  const run = await parts.server.call("startRun", { folder });
  parts.log.info(`started ${run.name}: ${run.folder}`);
  if (run.kind === "train") parts.training.open(run.folder);
  await parts.runs.refresh();
  parts.progress.follow(run.folder);
}

/** Starts the run of a run file: of the code lens, or of the active editor. */
export async function trainFromFile(parts: ClientParts, argument?: unknown): Promise<void> {
  const { uri } = asRecord(argument);
  const target =
    typeof uri === "string"
      ? vscode.Uri.parse(uri, true)
      : vscode.window.activeTextEditor?.document.uri;
  const file = target && isRunFile(target) ? target : await askForRunFile();
  if (!file) return;
  const document = vscode.workspace.textDocuments.find((it) => it.uri.toString() === String(file));
  if (document?.isDirty) await document.save();
  const { folder } = await parts.server.call("adoptRun", { file: file.fsPath });
  await startRun(parts, folder);
}

async function askForRunFile(): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    filters: { "Run files": ["jsonc", "json"] },
    openLabel: "Train",
    title: "Run file",
  });
  return picked?.[0];
}

/** Asks a run to write a checkpoint and to end. */
export async function stopRun(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Stop a run", isActive);
  if (!run) return;
  const { folder, name } = run;
  if (run.state === "stopping") {
    const text = `${name} was asked to stop and still writes its checkpoint. End it at once? It goes on from its last checkpoint then.`;
    const answer = await vscode.window.showWarningMessage(text, { modal: true }, "End Now");
    if (answer === undefined) return;
    await parts.server.call("stopRun", { folder, kill: true });
  } else {
    await parts.server.call("stopRun", { folder });
  }
  await parts.runs.refresh();
}

/** Goes on with a run from its last checkpoint. */
export async function resumeRun(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Resume a run", mayStart);
  if (run) await startRun(parts, run.folder);
}

/** Removes a run with its checkpoints and SAEs, after asking. */
export async function deleteRun(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Delete a run", (it) => !isActive(it));
  if (!run) return;
  const detail = `${run.folder} is removed with its checkpoints, its events and its SAE. This cannot be undone.`;
  const answer = await vscode.window.showWarningMessage(
    `Delete ${run.name}?`,
    { modal: true, detail },
    "Delete",
  );
  if (answer === undefined) return;
  await parts.server.call("deleteRun", { folder: run.folder });
  await parts.runs.refresh();
}

/** Shows the run file of a run among the files. */
export async function revealRun(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Reveal a run", () => true);
  if (!run) return;
  const file = vscode.Uri.joinPath(vscode.Uri.file(run.folder), "run.jsonc");
  const inWorkspace = vscode.workspace.getWorkspaceFolder(file) !== undefined;
  await vscode.commands.executeCommand(inWorkspace ? "revealInExplorer" : "revealFileInOS", file);
}

/** Shows what the process of a run has printed. */
export async function openRunOutput(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Output of a run", () => true);
  if (!run) return;
  const file = vscode.Uri.joinPath(vscode.Uri.file(run.folder), "run.log");
  await vscode.window.showTextDocument(file, { preview: true });
}

/** Reads texts with the SAE of a run from now on, beside those in use. */
export async function useRunSae(parts: ClientParts, argument?: unknown): Promise<void> {
  const run = await runOf(parts, argument, "Use the SAE of a run", hasSae);
  if (!run) return;
  const named = asRecord(argument)["sae"];
  const sae = typeof named === "string" ? named : await askForSae(run);
  if (sae === undefined) return;
  const used = await parts.server.call("useRun", { folder: run.folder, sae });
  if (used.lm !== undefined) await rememberChoice(parts, "lm", used.lm);
  await rememberChoice(parts, "saes", used.saes);
  await parts.statuses.refresh();
}

function hasSae({ saes }: RunInfo): boolean {
  return saes.some((it) => it.path !== undefined);
}

async function askForSae(run: RunInfo): Promise<string | undefined> {
  const ready = run.saes.filter((it) => it.path !== undefined);
  if (ready.length < 2) return ready[0]?.id;
  const items = ready.map((it) => ({ label: it.id, detail: figuresText(it), sae: it.id }));
  const chosen = await vscode.window.showQuickPick(items, { title: `SAEs of ${run.name}` });
  return chosen?.sae;
}

/** Opens the training page at a run. */
export async function openTrainingPage(parts: ClientParts, argument?: unknown): Promise<void> {
  const { folder } = asRecord(argument);
  if (typeof folder === "string") return parts.training.open(folder);
  const [newest] = await parts.runs.known();
  if (!newest) throw noRuns();
  parts.training.open(newest.folder);
}

/** The run that an argument names; else the only one that fits, or the one that is chosen. */
async function runOf(
  { runs }: ClientParts,
  argument: unknown,
  title: string,
  fits: (run: RunInfo) => boolean,
): Promise<RunInfo | undefined> {
  await runs.refresh();
  const { folder } = asRecord(argument);
  if (typeof folder === "string") {
    const named = runs.find(folder);
    if (!named) throw noRuns();
    return named;
  }
  const found = runs.list.filter(fits);
  if (found.length === 0)
    throw new UserError(
      "no-such-run",
      runs.list.length === 0
        ? noRuns().message
        : `none of the ${runs.list.length} runs can be meant: ${runs.list.map((it) => `${it.name} is ${it.state}`).join(", ")}`,
    );
  const items = found.map((run) => ({ label: run.name, description: run.text, run }));
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder: "Run" });
  return chosen?.run;
}

function noRuns(): UserError {
  return new UserError(
    "no-runs",
    'there is no such run in this workspace; "Latent Workbench: Train SAE…" starts one',
  );
}
