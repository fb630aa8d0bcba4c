/** The command that writes latents as a page that stands by itself. */
import * as vscode from "vscode";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { askForLatent } from "./pin-latent.ts";

interface Exported {
  readonly sae: string;
  readonly latents: number[];
}

/** Writes the latent of a link or page, the pinned ones, or one that is asked for. */
export async function exportLatents(parts: ClientParts, argument?: unknown): Promise<void> {
  const { server } = parts;
  const chosen = latentsOf(argument) ?? (await ask(parts));
  if (!chosen) return;
  const { html } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: "Latent Workbench: writing latents" },
    () => server.call("latentsAsHtml", chosen),
  );
  const name = `${chosen.sae.split("/").at(-1)}-${chosen.latents.slice(0, 4).join("-")}.html`;
  const root = vscode.workspace.workspaceFolders?.[0]?.uri;
  const target = await vscode.window.showSaveDialog({
    title: "Export latents as HTML",
    filters: { HTML: ["html"] },
    ...(root ? { defaultUri: vscode.Uri.joinPath(root, name) } : {}),
  });
  if (!target) return;
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(html));
  void vscode.window.showInformationMessage(`Latents written to ${target.fsPath}.`);
}

/** The pinned latents of one SAE, or one latent. */
async function ask(parts: ClientParts): Promise<Exported | undefined> {
  const { pins } = await parts.server.call("pins", {});
  const saes = [...new Set(pins.map(({ sae }) => sae))];
  const lists = saes.map((sae): vscode.QuickPickItem & { exported: Exported } => {
    const latents = pins.filter((it) => it.sae === sae).map(({ latent }) => latent);
    const numbers = latents.map((it) => `#${it}`).join(", ");
    return { label: "$(pinned) The pinned latents", description: numbers, detail: sae, exported: { sae, latents } }; // prettier-ignore
  });
  const one = { label: "$(symbol-number) A latent…", exported: undefined };
  const chosen =
    lists.length === 0
      ? one
      : await vscode.window.showQuickPick([...lists, one], { title: "Export latents as HTML" });
  if (!chosen) return undefined;
  if (chosen.exported) return chosen.exported;
  const found = await askForLatent(parts, "Export a latent as HTML");
  return found && { sae: found.sae, latents: [found.latent] };
}

function latentsOf(argument: unknown): Exported | undefined {
  const { sae, latent } = asRecord(argument);
  return typeof sae === "string" && typeof latent === "number"
    ? { sae, latents: [latent] }
    : undefined;
}
