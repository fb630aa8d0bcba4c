/** Pinning latents, whose heat editors and pages then show. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { TokenCard } from "../server/protocol/page.ts";
import { tooManyPins } from "../server/protocol/pins.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";
import { askForPin } from "./pins.ts";

/** A latent of an SAE. */
export interface LatentName {
  readonly sae: string;
  readonly latent: number;
}

/** Pins the latent of a link, or asks for one of those at the cursor or any other by its index. */
export async function pinLatent(parts: ClientParts, argument?: unknown): Promise<void> {
  const chosen = latentOf(argument) ?? (await askForLatent(parts, "Pin a latent"));
  if (!chosen || !(await pinOrReplace(parts, chosen))) return;
  if (parts.heat.shown !== "pinned") await parts.heat.show("pinned");
}

/** Pins a latent; where all colours are taken, in place of one that the user chooses. False if none is chosen. */
async function pinOrReplace({ server }: ClientParts, chosen: LatentName): Promise<boolean> {
  try {
    await server.call("pin", chosen);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== tooManyPins) throw error;
    const old = await askForPin(server);
    if (!old) return false;
    await server.call("unpin", { sae: old.sae, latent: old.latent });
    await server.call("pin", chosen);
  }
  return true;
}

/** Unpins the latent of a link. */
export async function unpinLatent({ server }: ClientParts, argument?: unknown): Promise<void> {
  const named = latentOf(argument);
  if (named) await server.call("unpin", named);
}

/** Unpins everything that is pinned. */
export async function unpinAll({ server }: ClientParts): Promise<void> {
  const { pins } = await server.call("pins", {});
  for (const { sae, latent } of pins) await server.call("unpin", { sae, latent });
}

/** Asks for one of the latents at the cursor or any other by its index. */
export async function askForLatent(
  { server }: ClientParts,
  title: string,
): Promise<LatentName | undefined> {
  const editor = activeTextEditor();
  if (!editor) {
    throw new UserError(
      "no-text-open",
      "no text is open in the active editor: open a file that is read, and put the cursor at a token",
    );
  }
  const uri = editor.document.uri.toString();
  const { saes } = await server.call("overview", { uri });
  const sae =
    saes.length > 1
      ? await vscode.window.showQuickPick(
          saes.map(({ id }) => id),
          { title, placeHolder: "Its SAE" },
        )
      : saes[0]?.id;
  const d_sae = saes.find(({ id }) => id === sae)?.d_sae;
  if (sae === undefined || d_sae === undefined) return undefined;
  const offset = editor.document.offsetAt(editor.selection.active);
  const at = await server.call("tokenAt", { uri, offset });
  const card = at ? await server.call("tokenCard", { uri, ...at, sae, top: 20 }) : undefined;
  const latent = await pickIndex(card, d_sae, title);
  return latent === undefined ? undefined : { sae, latent };
}

/** Lists a token's latents; a number that is typed is listed too. */
function pickIndex(
  card: TokenCard | undefined,
  d_sae: number,
  title: string,
): Promise<number | undefined> {
  const picker = vscode.window.createQuickPick<vscode.QuickPickItem & { latent: number }>();
  picker.title = title;
  picker.placeholder = `Index of a latent, 0 to ${d_sae - 1}${card ? ", or one at the cursor" : ""}`;
  picker.matchOnDetail = true;
  const atCursor = (card?.latents ?? []).map(({ latent, activation, label, logitEffects }) => ({
    latent,
    label: String(latent),
    description: activation.toFixed(2),
    detail: label ?? logitEffects?.join(" ") ?? "",
  }));
  const list = (typed: string): void => {
    const latent = /^\d+$/.test(typed.trim()) ? Number(typed) : undefined;
    const isNew = latent !== undefined && !atCursor.some((it) => it.latent === latent);
    const fits = latent !== undefined && latent < d_sae;
    picker.items = isNew && fits ? [{ latent, label: String(latent) }, ...atCursor] : atCursor;
  };
  list("");
  return new Promise((resolve) => {
    picker.onDidChangeValue(list);
    picker.onDidAccept(() => {
      resolve(picker.selectedItems[0]?.latent);
      picker.dispose();
    });
    picker.onDidHide(() => {
      resolve(undefined);
      picker.dispose();
    });
    picker.show();
  });
}

function latentOf(argument: unknown): LatentName | undefined {
  const { sae, latent } = asRecord(argument);
  if (typeof sae !== "string" || typeof latent !== "number") return undefined;
  return { sae, latent };
}
