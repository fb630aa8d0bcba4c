/** Where the strongest latent of a token fires in open documents, as LSP's references. */
import type { Location, Position } from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { UserError } from "../base/errors.ts";
import { LineStarts } from "../text/line-starts.ts";
import { placesOf } from "../workbench/explorer-dashboard.ts";
import type { Workbench } from "../workbench/workbench.ts";

/** A list in an editor is for reading; the dashboard says how many there are. */
const mostPlaces = 500;

/** Places of the strongest latent (of the first SAE) at a position that is not active everywhere; null where none is. */
export async function references(
  workbench: Workbench,
  document: TextDocument | undefined,
  position: Position,
  signal: AbortSignal,
): Promise<Location[] | null> {
  const strongest = document && (await strongestAt(workbench, document, position, signal));
  if (!strongest) return null;
  const { sae: id, latent } = strongest;
  const set = await workbench.modelsOf(workbench.document(document.uri));
  const sae = set.saes.find((it) => it.id === id);
  if (!sae) return null;
  const point = { workbench, set, sae, latent, index: undefined };
  const { places } = await placesOf(point, mostPlaces, signal);
  const lines = new Map<string, LineStarts>();
  return places.map(({ uri, startOffset, endOffset }) => {
    const starts = lines.get(uri) ?? new LineStarts(workbench.document(uri).text);
    lines.set(uri, starts);
    const range = { start: starts.position(startOffset), end: starts.position(endOffset) };
    return { uri, range };
  });
}

async function strongestAt(
  workbench: Workbench,
  document: TextDocument,
  position: Position,
  signal: AbortSignal,
): Promise<{ sae: string; latent: number } | undefined> {
  try {
    const content = await workbench.hover(document.uri, document.offsetAt(position), signal);
    const [card] = content?.cards ?? [];
    const latent = card?.latents.find((it) => !it.dense) ?? card?.latents[0];
    return card && latent && { sae: card.sae, latent: latent.latent };
  } catch (error) {
    // What is wrong is said by the hover; a list of places has no room for it.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
