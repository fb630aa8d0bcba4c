import { type HeatSpan, heatStep, heatSteps } from "../server/protocol/page.ts";

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
