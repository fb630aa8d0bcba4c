/** Where pinned latents fire in a document: coloured stretches for editors, and lines for the overview ruler. */
import type { HeatSpan } from "../protocol/page.ts";
import type { Pin, PinMark } from "../protocol/pins.ts";
import { LineStarts } from "../text/line-starts.ts";
import type { ContextState, OpenDocument } from "./documents.ts";
import { activationsOf } from "./heat.ts";
import { tokenRange } from "./positions.ts";
import type { Workbench } from "./workbench.ts";

/** A token where at least one pinned latent fires. */
interface PinnedToken {
  readonly startOffset: number;
  readonly endOffset: number;
  /** Strongest first: activation over the largest seen of that latent. */
  readonly pins: readonly {
    readonly colour: number;
    readonly share: number;
    readonly value: number;
  }[];
}

/**
 * Coloured stretches within offsets [from, to). Where several pins fire, the one that is strongest by its own scale fills the token
 * and the others are named in `also`: blended colours would look like those of other pins.
 */
export async function pinSpans(
  workbench: Workbench,
  document: OpenDocument,
  within: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<HeatSpan[]> {
  const lines = new LineStarts(document.text);
  const spans: HeatSpan[] = [];
  for (const { startOffset, endOffset, pins } of await tokensOf(
    workbench,
    document,
    within,
    signal,
  )) {
    const [strongest, ...others] = pins;
    if (!strongest) continue;
    const start = lines.position(startOffset);
    const end = lines.position(endOffset);
    spans.push({
      startLine: start.line,
      startCharacter: start.character,
      endLine: end.line,
      endCharacter: end.character,
      heat: strongest.share,
      value: strongest.value,
      colour: strongest.colour,
      also: others.map(({ colour }) => colour),
    });
  }
  return spans;
}

/** The lines of a whole document in which each pin fires, neighbouring ones joined. */
export async function pinMarks(
  workbench: Workbench,
  document: OpenDocument,
  signal: AbortSignal,
): Promise<PinMark[]> {
  const lines = new LineStarts(document.text);
  const within = { from: 0, to: document.text.length };
  const byColour = new Map<number, { colour: number; fromLine: number; toLine: number }[]>();
  for (const { startOffset, pins } of await tokensOf(workbench, document, within, signal)) {
    const { line } = lines.position(startOffset);
    for (const { colour } of pins) {
      const marks = byColour.get(colour) ?? [];
      byColour.set(colour, marks);
      const last = marks.at(-1);
      if (last && last.toLine + 1 >= line) last.toLine = line;
      else marks.push({ colour, fromLine: line, toLine: line });
    }
  }
  return [...byColour.values()].flat();
}

/** The tokens of the contexts between two offsets in which pins fire, in the order of the file. */
async function tokensOf(
  workbench: Workbench,
  document: OpenDocument,
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<PinnedToken[]> {
  const found: PinnedToken[] = [];
  for (const [context, { source }] of document.contexts.entries()) {
    const first = source.parts[0]?.fileStart ?? 0;
    const next = document.contexts[context + 1]?.source.parts[0]?.fileStart;
    if (first >= to || (next !== undefined && next <= from)) continue;
    const byRange = new Map<string, { range: Range; pins: PinnedToken["pins"][number][] }>();
    for (const pin of workbench.pinned)
      await addPin(
        workbench,
        { document, context, pin },
        { within: { from, to }, byRange },
        signal,
      );
    for (const { range, pins } of byRange.values())
      found.push({ ...range, pins: pins.toSorted((a, b) => b.share - a.share) });
  }
  return found.toSorted((a, b) => a.startOffset - b.startOffset);
}

type Range = { startOffset: number; endOffset: number };

/** Adds where one pin fires in a context; one whose SAE does not read this document fires nowhere. */
async function addPin(
  workbench: Workbench,
  { document, context, pin }: { document: OpenDocument; context: number; pin: Pin },
  {
    within,
    byRange,
  }: {
    within: { from: number; to: number };
    byRange: Map<string, { range: Range; pins: PinnedToken["pins"][number][] }>;
  },
  signal: AbortSignal,
): Promise<void> {
  const set = await workbench.modelsOf(document);
  if (!set.saes.some(({ id }) => id === pin.sae)) return;
  const { state, reading } = await workbench.reading(document, context, pin.sae, signal);
  const acts = activationsOf(reading, pin);
  const max = Math.max(workbench.models.maxActivation(pin.sae, pin.latent), acts.max);
  for (const [token, value] of acts.values.entries()) {
    const range = value === 0 ? undefined : rangeWithin(state, reading.tokens, token, within);
    if (!range) continue;
    // Tokens inside one character share its range, and SAEs with another BOS policy have tokens of their own.
    const key = `${range.startOffset}-${range.endOffset}`;
    const at = byRange.get(key) ?? { range, pins: [] };
    byRange.set(key, at);
    const share = Math.min(1, value / max);
    const before = at.pins.findIndex(({ colour }) => colour === pin.colour);
    if (before < 0) at.pins.push({ colour: pin.colour, share, value });
    else if (share > at.pins[before]!.share) at.pins[before] = { colour: pin.colour, share, value };
  }
}

function rangeWithin(
  { source }: ContextState,
  tokens: Parameters<typeof tokenRange>[1],
  token: number,
  { from, to }: { from: number; to: number },
): Range | undefined {
  const range = tokenRange(source, tokens, token);
  return range && range.endOffset > from && range.startOffset < to ? range : undefined;
}
