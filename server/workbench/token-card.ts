/** The card of one token under one SAE: what a hover and the text page show. */
import type { CardLatent, TokenCard } from "../protocol/page.ts";
import type { MetaBreakdown } from "../protocol/meta.ts";
import type { ContextReading, SaeInfo, SaeReading } from "../protocol/reader.ts";
import { tokenFlags } from "../protocol/context.ts";
import type { ContextState } from "./documents.ts";
import { labelOf } from "./labels.ts";
import { type DecoderFacts, narrowerOf } from "./decoder-facts.ts";
import type { LatentFacts } from "./latent-facts.ts";
import type { LatentsFile } from "../text/latents-file.ts";
import type { Models, ModelSet } from "./models.ts";
import { tokenRange } from "./positions.ts";

/** What cards are made from, beside a reading. */
export interface CardSources {
  readonly models: Models;
  readonly facts: LatentFacts;
  readonly decoders: DecoderFacts;
  readonly latentsFile: LatentsFile | undefined;
  readonly device: string;
}

/** One token of a reading. */
export interface TokenPlace {
  readonly version: number;
  readonly context: number;
  readonly state: ContextState;
  readonly reading: ContextReading;
  readonly index: number;
}

/** Active latents of a token, strongest first, at most `top`. */
export function latentsAt(
  reading: ContextReading,
  sae: string,
  index: number,
  top: number = Number.POSITIVE_INFINITY,
): { latent: number; activation: number }[] {
  const row = reading.saes[sae];
  const from = row?.offsets[index] ?? 0;
  const to = Math.min(row?.offsets[index + 1] ?? 0, from + top);
  return Array.from({ length: Math.max(0, to - from) }, (_, entry) => ({
    latent: row?.latents[from + entry] ?? 0,
    activation: row?.acts[from + entry] ?? 0,
  }));
}

/** Builds a card with the `top` strongest latents (all by default). */
export async function tokenCard(
  sources: CardSources,
  place: TokenPlace,
  { set, sae, top }: { set: ModelSet; sae: SaeInfo; top: number | undefined },
  signal?: AbortSignal,
): Promise<TokenCard> {
  const { reading, index, state } = place;
  const { tokens } = reading;
  const row = reading.saes[sae.id];
  const latents = await cardLatents(
    sources,
    { set, sae },
    latentsAt(reading, sae.id, index, top),
    signal,
  );
  const byte = tokens.byteOfCharacter[index] ?? 0;
  const bytes = tokens.bytesInCharacter[index] ?? 0;
  return {
    version: place.version,
    context: place.context,
    index,
    id: tokens.ids[index] ?? 0,
    text: tokens.texts[index] ?? "",
    position: reading.position[index] ?? 0,
    tokensInContext: tokens.ids.length,
    special: ((tokens.flags[index] ?? 0) & tokenFlags.special) !== 0,
    ...(byte > 0 ? { byteOfCharacter: `byte ${byte} of ${bytes}` } : {}),
    sae: sae.id,
    hook: sae.hook,
    device: sources.device,
    l0: (row?.offsets[index + 1] ?? 0) - (row?.offsets[index] ?? 0),
    squaredError: row?.squaredError[index] ?? 0,
    inputNorm: row?.inputNorm[index] ?? 0,
    latents,
    ...verdictsAt(row, index),
    ...tokenRange(state.source, tokens, index),
  };
}

function verdictsAt(row: SaeReading | undefined, index: number): Pick<TokenCard, "absorption"> {
  const absorption = row?.absorption?.filter((it) => it.token === index) ?? [];
  return absorption.length > 0 ? { absorption } : {};
}

async function cardLatents(
  { models, facts, decoders, latentsFile }: CardSources,
  { set, sae }: { set: ModelSet; sae: SaeInfo },
  found: readonly { latent: number; activation: number }[],
  signal?: AbortSignal,
): Promise<CardLatent[]> {
  const label = (latent: number): string | undefined => labelOf(latentsFile, sae, latent);
  const unlabelled = found.map((it) => it.latent).filter((latent) => label(latent) === undefined);
  const where = { lm: set.lm.id, sae: sae.id };
  const effects = await facts.effects(where, unlabelled, signal);
  const meta = set.metas.find((it) => it.metaOf === sae.id);
  const metas =
    meta &&
    (await facts.metaLatents(
      meta.id,
      found.map((it) => it.latent),
      signal,
    ));
  const dense = new Set(models.selfCheck(sae.id)?.denseLatents);
  const narrow = narrowerOf(sae, set.saes);
  const counterpart = narrow && decoders.counterpart(sae.id, narrow.id);
  const parts = meta && metaParts({ decoders, latentsFile }, { sae, meta }, metas);
  return found.map(({ latent, activation }) => {
    const text = label(latent);
    const largest = Math.max(models.maxActivation(sae.id, latent), Math.abs(activation));
    const raised = effects.get(latent)?.texts;
    return {
      latent,
      activation,
      share: largest === 0 ? 0 : Math.abs(activation) / largest,
      ...(text === undefined ? {} : { label: text }),
      ...(text === undefined && raised ? { logitEffects: raised } : {}),
      dense: dense.has(latent),
      ...parts?.(latent),
      ...(counterpart ? { counterpart: counterpart(latent) } : {}),
    };
  });
}

/** Meta-latents of latents with their labels: their own, or what their members' labels suggest. */
function metaParts(
  { decoders, latentsFile }: Pick<CardSources, "decoders" | "latentsFile">,
  { sae, meta }: { sae: SaeInfo; meta: SaeInfo },
  breakdowns: ReadonlyMap<number, MetaBreakdown> | undefined,
): (latent: number) => Pick<CardLatent, "metaLatents" | "metaExplained"> | undefined {
  const own = (latent: number): string | undefined => labelOf(latentsFile, meta, latent);
  const unlabelled = [...(breakdowns?.values() ?? [])]
    .flatMap(({ parts }) => parts.map((it) => it.latent))
    .filter((latent) => own(latent) === undefined);
  const derived = decoders.derivedLabels({ meta, latents: unlabelled }, (latent) =>
    labelOf(latentsFile, sae, latent),
  );
  return (latent) => {
    const breakdown = breakdowns?.get(latent);
    if (!breakdown) return undefined;
    const metaLatents = breakdown.parts.map(({ latent: part, activation, share }) => {
      const label = own(part);
      const guess = label === undefined ? derived.get(part) : undefined;
      return {
        latent: part,
        activation,
        share,
        ...(label === undefined ? {} : { label }),
        ...(guess === undefined ? {} : { derivedLabel: guess }),
      };
    });
    return { metaLatents, metaExplained: breakdown.explained };
  };
}
