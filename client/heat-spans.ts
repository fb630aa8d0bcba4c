import { type HeatSpan, heatStep, heatSteps } from "../server/protocol/page.ts";
import { maxPins, pinSteps } from "../server/protocol/pins.ts";

/**
 * Spans by their step of heat, index 0 for step 1. Of spans with the same range, such as the tokens inside one
 * character, the strongest stands for all: drawn over each other, their transparent colours would add up.
 */
export function spansByStep(spans: readonly HeatSpan[]): HeatSpan[][] {
  const strongest = new Map<string, HeatSpan>();
  for (const span of spans) {
    const { startLine, startCharacter, endLine, endCharacter } = span;
    const range = [startLine, startCharacter, endLine, endCharacter].join();
    if (span.heat > (strongest.get(range)?.heat ?? 0)) strongest.set(range, span);
  }
  const steps = Array.from({ length: heatSteps }, (): HeatSpan[] => []);
  for (const span of strongest.values()) steps[heatStep(span.heat) - 1]?.push(span);
  return steps;
}

function none(): HeatSpan[] {
  return [];
}

/** Spans of pinned latents: those that a colour fills, by colour and step (index 0 for 1), and those that it underlines, by colour. */
export function pinnedGroups(spans: readonly HeatSpan[]): {
  fills: HeatSpan[][][];
  lines: HeatSpan[][];
} {
  const fills = Array.from({ length: maxPins }, () => Array.from({ length: pinSteps }, none));
  const lines = Array.from({ length: maxPins }, none);
  for (const span of spans) {
    if (span.colour === undefined || !(span.heat > 0)) continue;
    const step = Math.min(pinSteps, Math.ceil(span.heat * pinSteps));
    fills[span.colour - 1]?.[step - 1]?.push(span);
    // Two lines at one place cover each other: the stronger one is named first.
    const [line] = span.also ?? [];
    if (line !== undefined) lines[line - 1]?.push(span);
  }
  return { fills, lines };
}
