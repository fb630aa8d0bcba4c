/** The menu behind the status bar item. */
import * as vscode from "vscode";
import type { ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";

interface Entry extends vscode.QuickPickItem {
  readonly command?: string;
}

/** Shows the menu and runs what is chosen. */
export async function showMenu({ statuses, heat }: ClientParts): Promise<void> {
  const uri = activeTextEditor()?.document.uri.toString();
  const status = uri === undefined ? undefined : statuses.get(uri);
  const entries: Entry[] = [];
  if (uri !== undefined) {
    const off = !status || status.state === "off";
    entries.push(
      separator("This file"),
      {
        label: off
          ? "$(circle-large-filled) Read this file"
          : "$(circle-slash) Stop reading this file",
        command: "toggleFile",
      },
      { label: "$(open-preview) Open text page", command: "openTextPage" },
      { label: "$(flame) Show heat…", description: heat.shown, command: "showHeat" },
      { label: "$(pin) Pin a latent…", command: "pinLatent" },
      { label: "$(pinned) Pinned latents…", command: "managePins" },
      { label: "$(git-merge) Attribute next token", command: "attributeNext" },
      { label: "$(compass) Steer…", command: "steer" },
      { label: "$(git-compare) Compare latents with git HEAD", command: "compareWithHead" },
      { label: "$(table) Counterfactual map", command: "openCounterfactual" },
    );
  }
  entries.push(
    separator("Models"),
    { label: "$(hubot) Choose language model…", ...described(status?.lm), command: "chooseLm" },
    {
      label: "$(layers) Choose SAEs…",
      ...described(status?.saes.join(", ")),
      command: "chooseSaes",
    },
    { label: "$(cloud-download) Download model or SAE…", command: "download" },
    separator("Pages"),
    { label: "$(search) Explore latents", command: "exploreLatents" },
    { label: "$(type-hierarchy-sub) Explore meta-SAE", command: "exploreMetaSae" },
    { label: "$(git-compare) Stitch SAEs…", command: "stitchSaes" },
    { label: "$(diff) Compare latents of two files…", command: "compareTwoFiles" },
    { label: "$(symbol-event) Absorption", command: "openAbsorptionPage" },
    { label: "$(list-ordered) Which decomposition helps?", command: "compareDecompositions" },
    { label: "$(beaker) Toy models", command: "openToyPage" },
    { label: "$(graph-line) Training", command: "openTrainingPage" },
    separator("Help"),
    { label: "$(book) Get started", command: "getStarted" },
    separator("Reader"),
    {
      label: "$(debug-restart) Restart reader",
      ...described(status?.device),
      command: "restartReader",
    },
    { label: "$(checklist) Doctor", command: "doctor" },
    { label: "$(output) Show log", command: "showLog" },
    { label: "$(gear) Settings", command: "" },
  );
  const placeHolder = status?.text || "Latent Workbench";
  const chosen = await vscode.window.showQuickPick(entries, { placeHolder });
  if (chosen?.command === "") {
    await vscode.commands.executeCommand("workbench.action.openSettings", "latentWorkbench");
  } else if (chosen?.command) {
    await vscode.commands.executeCommand(`latentWorkbench.${chosen.command}`);
  }
}

function separator(label: string): Entry {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}

function described(description: string | undefined): { description?: string } {
  return description ? { description } : {};
}
