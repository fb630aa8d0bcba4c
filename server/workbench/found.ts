/** What searches by examples found, for as long as the server lives. */
import { UserError } from "../base/errors.ts";
import type { FoundLatents } from "../protocol/find.ts";
import type { Workbench } from "./workbench.ts";

/** Searches that are kept; older ones are forgotten. */
const mostKept = 20;
/** By name, oldest first. */
const kept = new WeakMap<Workbench, Map<string, FoundLatents>>();
let searches = 0;

/** Keeps what was found; returns its name. */
export function keepFound(workbench: Workbench, found: FoundLatents): string {
  const own = kept.get(workbench) ?? new Map<string, FoundLatents>();
  kept.set(workbench, own);
  const name = `search-${++searches}`;
  own.set(name, found);
  for (const old of [...own.keys()].slice(0, -mostKept)) own.delete(old);
  return name;
}

/** What a search found; throws if it is forgotten. */
export function foundBy(workbench: Workbench, search: string): FoundLatents {
  const found = kept.get(workbench)?.get(search);
  if (found) return found;
  throw new UserError(
    "search-forgotten",
    'this search is forgotten; run "Latent Workbench: Find Latents for Selections…" again',
  );
}
