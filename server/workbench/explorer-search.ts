/** Lists of latents: searches over labels, the index, and open documents. */
import { unreachable, UserError } from "../base/errors.ts";
import type { LatentItem, LatentQuery } from "../protocol/explorer.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { LatentIndex } from "../store/index-reader.ts";
import { setName } from "../protocol/find-text.ts";
import { foundBy } from "./found.ts";
import { labelOf } from "./labels.ts";
import { tokenRange } from "./positions.ts";
import { latentsAt } from "./token-card.ts";
import type { Workbench } from "./workbench.ts";

/** Latents in the order of a list, with the figure that orders them. */
interface Ranked {
  readonly latents: ArrayLike<number>;
  readonly scores?: ArrayLike<number>;
  readonly notes?: readonly string[];
}

/** Tokens shown of a latent without a label. */
const shownTokens = 4;

/** What a list is made from. */
export interface SearchPlace {
  readonly workbench: Workbench;
  readonly sae: SaeInfo;
  readonly index: LatentIndex | undefined;
}

/** The latents that answer a query, `[from, to)` of them. */
export async function searchLatents(
  place: SearchPlace,
  { query, from, to }: { query: LatentQuery; from: number; to: number },
  signal?: AbortSignal,
): Promise<{ total: number; items: LatentItem[] }> {
  const { latents, scores, notes } = await rank(place, query, signal);
  const end = Math.min(to, latents.length);
  const items: LatentItem[] = [];
  for (let at = Math.max(0, from); at < end; at++)
    items.push({
      ...itemOf(place, latents[at]!, scores?.[at]),
      ...(notes ? { note: notes[at]! } : {}),
    });
  return { total: latents.length, items };
}

async function rank(place: SearchPlace, query: LatentQuery, signal?: AbortSignal): Promise<Ranked> {
  const { sae } = place;
  switch (query.kind) {
    case "all":
      return { latents: inOrder(place, query.order) };
    case "label": {
      const words = query.text.toLowerCase().split(/\s+/).filter(Boolean);
      const all = inOrder(place, "latent");
      const fits = (latent: number): boolean => {
        const label = labelOf(place.workbench.latentsFile, sae, latent)?.toLowerCase();
        return label !== undefined && words.every((word) => label.includes(word));
      };
      return { latents: all.filter(fits) };
    }
    case "token":
      return byToken(needIndex(place), query.text);
    case "similar": {
      checkLatent(sae, query.latent);
      const index = needIndex(place);
      const latents = index.field("decoder", query.latent, "latent") ?? new Int32Array();
      const scores = index.field("decoder", query.latent, "latent.value");
      return { latents: latents.filter((it) => it >= 0), ...(scores ? { scores } : {}) };
    }
    case "selection":
      return bySelection(place, query, signal);
    case "found": {
      const { latents } = foundBy(place.workbench, query.search);
      return {
        latents: latents.map(({ latent }) => latent),
        scores: latents.map(({ auc }) => auc),
        notes: latents.map(({ set, f1 }) => `${setName(set)}, F1 ${f1.toFixed(2)}`),
      };
    }
    default:
      return unreachable(query);
  }
}

function inOrder({ index, sae }: SearchPlace, order: "latent" | "density" | "max"): Uint32Array {
  const latents = Uint32Array.from({ length: sae.d_sae }, (_, latent) => latent);
  if (order === "latent" || !index) return latents;
  const figures = order === "density" ? index.summary.count : index.summary.max;
  return latents.sort((a, b) => figures[b]! - figures[a]! || a - b);
}

/** Best detectors of the token of this text, with and without a blank before it. */
function byToken(index: LatentIndex, text: string): Ranked {
  const spellings = [...new Set([text, ` ${text}`, ` ${text.trim()}`, text.trim()])];
  const ids = spellings.filter((it) => it !== "").flatMap((it) => index.idsOfText(it));
  if (ids.length === 0)
    throw new UserError(
      "no-such-token",
      `${JSON.stringify(text)} is no single token of this model; type the text of one token`,
    );
  const best = new Map<number, number>();
  for (const { latent, score } of ids.flatMap((id) => index.latentsOfToken(id)))
    best.set(latent, Math.max(score, best.get(latent) ?? 0));
  const sorted = [...best].toSorted(([, a], [, b]) => b - a);
  return { latents: sorted.map(([latent]) => latent), scores: sorted.map(([, score]) => score) };
}

async function bySelection(
  { workbench, sae }: SearchPlace,
  query: Extract<LatentQuery, { kind: "selection" }>,
  signal?: AbortSignal,
): Promise<Ranked> {
  const document = workbench.document(query.uri);
  const best = new Map<number, number>();
  for (let context = 0; context < document.contexts.length; context++) {
    const { state, reading } = await workbench.reading(document, context, sae.id, signal);
    for (let token = 0; token < reading.tokens.ids.length; token++) {
      const range = tokenRange(state.source, reading.tokens, token);
      if (!range || range.endOffset <= query.startOffset || range.startOffset >= query.endOffset)
        continue;
      for (const { latent, activation } of latentsAt(reading, sae.id, token))
        best.set(latent, Math.max(Math.abs(activation), best.get(latent) ?? 0));
    }
  }
  const sorted = [...best].toSorted(([, a], [, b]) => b - a);
  return { latents: sorted.map(([latent]) => latent), scores: sorted.map(([, score]) => score) };
}

function itemOf(
  { workbench, sae, index }: SearchPlace,
  latent: number,
  score?: number,
): LatentItem {
  const label = labelOf(workbench.latentsFile, sae, latent);
  const count = index?.summary.count[latent];
  const ids = label === undefined ? index?.field("contexts", latent, "token") : undefined;
  return {
    latent,
    ...(label === undefined ? {} : { label }),
    ...(ids
      ? { tokens: index!.tokenTexts(ids.subarray(0, shownTokens).filter((it) => it >= 0)) }
      : {}),
    ...(index && count !== undefined
      ? { density: count / index.manifest.corpus.counted, max: index.summary.max[latent]! }
      : {}),
    ...(score === undefined ? {} : { score }),
  };
}

/** Throws unless the SAE has this latent. */
export function checkLatent(sae: SaeInfo, latent: number): void {
  if (!Number.isSafeInteger(latent) || latent < 0 || latent >= sae.d_sae)
    throw new UserError(
      "no-such-latent",
      `${sae.id} has no latent ${latent}: it has latents 0 to ${sae.d_sae - 1}`,
    );
}

/** The index, or a user error that says how to get one. */
export function needIndex({ index, sae }: Pick<SearchPlace, "index" | "sae">): LatentIndex {
  if (index) return index;
  throw new UserError(
    "no-index",
    `there is no index of ${sae.id} yet, which this reads; "Latent Workbench: Index Corpus…" builds one`,
  );
}
