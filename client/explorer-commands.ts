/** Commands about latents and their index. Arguments of links are checked: they may come from text that a server printed. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { ExplorerSae } from "../server/protocol/explorer.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";
import { startRun } from "./runs-commands.ts";
import { parseCount } from "./train-defaults.ts";

/** Opens the explorer, at the latent of a link or with what fires on the selected text. */
export async function exploreLatents({ explorer }: ClientParts, argument?: unknown): Promise<void> {
  const { sae, latent } = asRecord(argument);
  const isLatent = typeof latent === "number" && Number.isSafeInteger(latent) && latent >= 0;
  explorer.open({
    ...(typeof sae === "string" ? { sae } : {}),
    ...(isLatent ? { latent } : {}),
  });
}

/** Lists the latents that fire on what is selected. */
export async function exploreSelection(parts: ClientParts): Promise<void> {
  const editor = activeTextEditor();
  if (!editor) throw new UserError("no-text-open", "no text is open in the active editor");
  const { document, selection } = editor;
  const uri = document.uri.toString();
  const start = document.offsetAt(selection.start);
  const end = Math.max(start + 1, document.offsetAt(selection.end));
  const { saes } = await parts.server.call("explorerSaes", { uri });
  const [sae] = saes.filter((it) => it.metaOf === undefined);
  if (!sae) throw noSae();
  const query = { kind: "selection", uri, startOffset: start, endOffset: end } as const;
  parts.explorer.open({ sae: sae.id, query });
}

/** Asks for SAE, corpus and tokens; builds the index as a run of its own. */
export async function indexCorpus(parts: ClientParts, argument?: unknown): Promise<void> {
  const sae = await saeOf(parts, argument, "Index a corpus: whose latents");
  if (!sae) return;
  const corpus = await askForTexts(sae);
  if (!corpus) return;
  const typed = await vscode.window.showInputBox({
    title: `Index of ${sae.id}`,
    prompt: "Tokens to read at most, such as 200k or 2M",
    value: "200k",
    validateInput: (text) =>
      parseCount(text) === undefined ? "a number such as 50000, 200k or 2M" : undefined,
  });
  const tokens = typed === undefined ? undefined : parseCount(typed);
  if (tokens === undefined) return;
  const { folder } = await parts.server.call("createIndexRun", { sae: sae.id, corpus, tokens });
  await startRun(parts, folder);
}

/** The active file, the folder of the workspace, or others that are looked for. */
async function askForTexts({ id }: ExplorerSae): Promise<string[] | undefined> {
  const active = activeTextEditor()?.document.uri;
  const texts = await vscode.workspace.findFiles(
    "**/*.{txt,md}",
    "{**/node_modules/**,**/runs/**}",
    mostTexts,
  );
  const chosen = await vscode.window.showQuickPick(
    [
      ...(active?.scheme === "file"
        ? [{ label: "The active file", description: active.fsPath, texts: [active.fsPath] }]
        : []),
      ...(texts.length > 0
        ? [
            {
              label: "The workspace",
              description: `its ${texts.length} .txt and .md files`,
              texts: texts.map(({ fsPath }) => fsPath).toSorted(),
            },
          ]
        : []),
      { label: "$(folder-opened) Browse…", texts: undefined },
    ],
    { title: `Index of ${id}`, placeHolder: "Texts to read; more tokens make better contexts" },
  );
  if (!chosen || chosen.texts) return chosen?.texts;
  const picked = await vscode.window.showOpenDialog({
    title: `Texts to read with ${id}`,
    openLabel: "Index",
    canSelectFiles: true,
    canSelectFolders: true,
    canSelectMany: true,
    filters: { Texts: ["txt", "md", "text", "jsonl", "ndjson", "gz"], "All files": ["*"] },
  });
  return picked && picked.length > 0 ? picked.map(({ fsPath }) => fsPath) : undefined;
}

/** Adds the explanations of a file that Neuronpedia exported. */
export async function importLabels(parts: ClientParts, argument?: unknown): Promise<void> {
  const sae = await saeOf(parts, argument, "Import labels: of which SAE");
  if (!sae) return;
  const picked = await vscode.window.showOpenDialog({
    title: `Explanations of ${sae.id}`,
    openLabel: "Import",
    filters: { Explanations: ["jsonl", "json", "gz"] },
  });
  const file = picked?.[0]?.fsPath;
  if (file === undefined) return;
  const found = await parts.server.call("importLabels", { sae: sae.id, file });
  void vscode.window.showInformationMessage(
    `${found.added} labels added and ${found.changed} changed in ${vscode.workspace.asRelativePath(found.file)}.`,
  );
}

/** Writes the labels of an SAE as Neuronpedia's explanations. */
export async function exportLabels(parts: ClientParts, argument?: unknown): Promise<void> {
  const sae = await saeOf(parts, argument, "Export labels: of which SAE");
  if (!sae) return;
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const name = `${sae.id.replaceAll("/", "-")}.explanations.jsonl`;
  const target = await vscode.window.showSaveDialog({
    title: `Explanations of ${sae.id}`,
    filters: { Explanations: ["jsonl"] },
    ...(folder ? { defaultUri: vscode.Uri.joinPath(folder, name) } : {}),
  });
  if (!target) return;
  const { labels } = await parts.server.call("exportLabels", { sae: sae.id, file: target.fsPath });
  void vscode.window.showInformationMessage(`${labels} labels written to ${target.fsPath}.`);
}

/** Copies Python that reads a latent with SAELens. */
export async function copyLatentAsPython(parts: ClientParts, argument?: unknown): Promise<void> {
  const latent = await latentOf(parts, argument);
  if (!latent) return;
  const { text } = await parts.server.call("latentAsPython", latent);
  await vscode.env.clipboard.writeText(text);
  vscode.window.setStatusBarMessage("Python copied", copiedMs);
}

/** Copies a latent's id on Neuronpedia, where it has one. */
export async function copyNeuronpediaId(parts: ClientParts, argument?: unknown): Promise<void> {
  const latent = await latentOf(parts, argument);
  if (!latent) return;
  const { neuronpediaId } = await parts.server.call("latentDashboard", latent);
  if (neuronpediaId === undefined)
    throw new UserError(
      "no-neuronpedia-id",
      `${latent.sae} does not say where it is on Neuronpedia: its config has no neuronpedia_id, and no imported label names one`,
    );
  await vscode.env.clipboard.writeText(neuronpediaId);
  vscode.window.setStatusBarMessage(`Copied ${neuronpediaId}`, copiedMs);
}

const copiedMs = 3000;
const mostTexts = 5000;

/** The latent that an argument names, or one that is asked for. */
export async function latentOf(
  parts: ClientParts,
  argument: unknown,
): Promise<{ sae: string; latent: number } | undefined> {
  const { sae, latent } = asRecord(argument);
  if (typeof sae === "string" && typeof latent === "number") return { sae, latent };
  const chosen = await saeOf(parts, argument, "Latent of which SAE");
  if (!chosen) return undefined;
  const isIndex = (text: string): boolean => /^\d+$/.test(text) && Number(text) < chosen.d_sae;
  const expected = `a whole number from 0 to ${chosen.d_sae - 1}`;
  const typed = await vscode.window.showInputBox({
    title: chosen.id,
    prompt: `Latent: ${expected}`,
    validateInput: (text) => (isIndex(text) ? undefined : expected),
  });
  return typed === undefined ? undefined : { sae: chosen.id, latent: Number(typed) };
}

/** The SAE that an argument names, the only one in use, or the one that is chosen; meta-SAEs read no texts. */
export async function saeOf(
  { server }: ClientParts,
  argument: unknown,
  title: string,
): Promise<ExplorerSae | undefined> {
  const { saes } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: "Latent Workbench: loading the model" },
    () => server.call("explorerSaes", {}),
  );
  const readable = saes.filter((it) => it.metaOf === undefined);
  const { sae } = asRecord(argument);
  const named = readable.find(({ id }) => id === sae);
  if (named) return named;
  if (readable.length === 0) throw noSae();
  if (readable.length === 1) return readable[0];
  const items = readable.map((it) => ({ label: it.id, description: `${it.d_sae} latents`, it }));
  return (await vscode.window.showQuickPick(items, { title }))?.it;
}

function noSae(): UserError {
  return new UserError("no-sae", 'no SAE is in use; use "Latent Workbench: Choose SAEs…" first');
}
