/** Contexts of two versions of a file that belong together. */
import type { ContextPair } from "../protocol/comparison.ts";
import type { ContextSource } from "../protocol/context.ts";
import { align } from "./align.ts";

/** A pair; a side is absent where the context was added or removed. */
export interface PairedContexts {
  readonly before?: number;
  readonly after?: number;
  /** True where both read the same. */
  readonly same: boolean;
}

/**
 * Pairs contexts in order: those of the same text first, and what lies between two such pairs one with one from its beginning, the
 * rest of the longer side alone.
 */
export function pairContexts(
  before: readonly ContextSource[],
  after: readonly ContextSource[],
): PairedContexts[] {
  const { pairs } = align(before.map(contentOf), after.map(contentOf));
  const result: PairedContexts[] = [];
  let [a, b] = [0, 0];
  for (const [x, y] of [...pairs, [before.length, after.length] as const]) {
    for (; a < x || b < y; a++, b++) {
      const both = a < x && b < y;
      if (both) result.push({ before: a, after: b, same: false });
      else if (a < x) result.push({ before: a, same: false });
      else result.push({ after: b, same: false });
    }
    [a, b] = [x, y];
    if (x < before.length && y < after.length) result.push({ before: a++, after: b++, same: true });
  }
  return result;
}

/** What became of a pair. */
export function stateOfPair({ before, after, same }: PairedContexts): ContextPair["state"] {
  if (same) return "same";
  if (before === undefined) return "added";
  return after === undefined ? "removed" : "changed";
}

/** The same for contexts that a model reads alike. */
function contentOf({ kind, parts }: ContextSource): string {
  return JSON.stringify([kind, ...parts.map(({ role, text }) => [role, text])]);
}
