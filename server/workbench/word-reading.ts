/** A selection, or a word that the tokenizer splits, read as one: per latent the largest and mean activation, and on how many tokens. */
import type { SaeInfo } from "../protocol/reader.ts";
import { tokenRange } from "./positions.ts";
import { latentsAt, type TokenPlace } from "./token-card.ts";

/** Latents of several tokens together, largest activation first. */
export interface WordReading {
  readonly sae: string;
  readonly text: string;
  readonly tokens: number;
  readonly latents: readonly { latent: number; max: number; mean: number; count: number }[];
}

const wordCharacter = /[\p{L}\p{M}\p{N}'’_-]/u;

/** A stretch of the file, in UTF-16 code units. */
interface Stretch {
  readonly startOffset: number;
  readonly endOffset: number;
}

/**
 * Reads the selection around a token, or else the word around it, as one; undefined when that is the token alone.
 */
export function wordReading(
  place: TokenPlace,
  sae: SaeInfo,
  file: { readonly text: string; readonly selection: Stretch | undefined },
): WordReading | undefined {
  const { reading, state, index } = place;
  const range = tokenRange(state.source, reading.tokens, index);
  if (!range) return undefined;
  const { startOffset: from, endOffset: to } =
    file.selection && overlaps(range, file.selection)
      ? file.selection
      : wordAround(range, file.text);
  const covers = (token: number): boolean => {
    const at = tokenRange(state.source, reading.tokens, token);
    return at !== undefined && overlaps(at, { startOffset: from, endOffset: to });
  };
  let first = index;
  while (first > 0 && covers(first - 1)) first--;
  let end = index + 1;
  while (end < reading.tokens.ids.length && covers(end)) end++;
  if (end - first < 2) return undefined;
  return readSpan(place, sae, { first, end, text: file.text.slice(from, to) });
}

function overlaps(a: Stretch, b: Stretch): boolean {
  return a.startOffset < b.endOffset && a.endOffset > b.startOffset;
}

function wordAround(range: Stretch, fileText: string): Stretch {
  let from = range.endOffset;
  while (from > range.startOffset && !isWord(fileText, from - 1)) from--;
  while (from > 0 && isWord(fileText, from - 1)) from--;
  let to = from;
  while (to < fileText.length && isWord(fileText, to)) to++;
  return { startOffset: from, endOffset: to };
}

/** Latents of tokens [first, end) together. The mean is over all tokens of the span, zeros included. */
export function readSpan(
  { reading }: Pick<TokenPlace, "reading">,
  sae: SaeInfo,
  { first, end, text }: { first: number; end: number; text: string },
): WordReading {
  const sums = new Map<number, { max: number; sum: number; count: number }>();
  for (let token = first; token < end; token++)
    for (const { latent, activation } of latentsAt(reading, sae.id, token)) {
      const { max, sum, count } = sums.get(latent) ?? { max: activation, sum: 0, count: 0 };
      const larger = Math.abs(activation) > Math.abs(max) ? activation : max;
      sums.set(latent, { max: larger, sum: sum + activation, count: count + 1 });
    }
  const latents = [...sums]
    .map(([latent, { max, sum, count }]) => ({ latent, max, mean: sum / (end - first), count }))
    .sort((a, b) => Math.abs(b.max) - Math.abs(a.max));
  return { sae: sae.id, text, tokens: end - first, latents };
}

function isWord(text: string, at: number): boolean {
  return wordCharacter.test(text[at] ?? "") || /[\uD800-\uDFFF]/.test(text[at] ?? "");
}
