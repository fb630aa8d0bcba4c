/** Between offsets of a file and tokens, in UTF-16 code units. */
import type { ContextSource, ContextTokens } from "../protocol/context.ts";
import { fileOffset } from "../text/contexts.ts";
import type { OpenDocument } from "./documents.ts";

/** Range of a token in the file; undefined for tokens that BOS policy or template put in. */
export function tokenRange(
  source: ContextSource,
  tokens: ContextTokens,
  index: number,
): { startOffset: number; endOffset: number } | undefined {
  const part = tokens.part[index] ?? -1;
  if (part < 0) return undefined;
  return {
    startOffset: fileOffset(source, part, tokens.start[index] ?? 0),
    endOffset: fileOffset(source, part, tokens.end[index] ?? 0),
  };
}

/** The context that an offset of the file lies in; the end of the last one belongs to it. */
export function contextAt(document: OpenDocument, offset: number): number | undefined {
  const index = document.contexts.findIndex(({ source }) => {
    const { startOffset, endOffset } = contextRange(source);
    return offset >= startOffset && offset <= endOffset;
  });
  return index < 0 ? undefined : index;
}

/** Range of a context in the file, from its first part to its last. */
export function contextRange(source: ContextSource): { startOffset: number; endOffset: number } {
  const last = source.parts.length - 1;
  const length = source.parts[last]?.text.length ?? 0;
  return {
    startOffset: source.parts[0]?.fileStart ?? 0,
    endOffset: last < 0 ? 0 : fileOffset(source, last, length),
  };
}

/**
 * The first token that covers the file offset, or undefined where no token is. Tokens are in file order, so
 * this is a binary search over those that lie in the file.
 */
export function tokenAt(
  source: ContextSource,
  tokens: ContextTokens,
  offset: number,
): number | undefined {
  for (const [part, { text }] of source.parts.entries()) {
    if (offset < fileOffset(source, part, 0) || offset >= fileOffset(source, part, text.length))
      continue;
    let low = 0;
    let high = tokens.ids.length;
    // The first token of this part whose end lies behind the offset.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (endsBehind(source, tokens, { index: middle, part, offset })) high = middle;
      else low = middle + 1;
    }
    const range = low < tokens.ids.length ? tokenRange(source, tokens, low) : undefined;
    if (range && tokens.part[low] === part && range.startOffset <= offset) return low;
  }
  return undefined;
}

function endsBehind(
  source: ContextSource,
  tokens: ContextTokens,
  at: { index: number; part: number; offset: number },
): boolean {
  const part = partNear(tokens, at.index);
  if (part !== at.part) return part > at.part;
  // A template token after the part's last one lies behind every offset of the part.
  if (tokens.part[at.index] === -1) return true;
  return fileOffset(source, part, tokens.end[at.index] ?? 0) > at.offset;
}

/** The part that a token belongs to; for inserted tokens the part of the nearest token before that has one. */
function partNear(tokens: ContextTokens, index: number): number {
  for (let at = index; at >= 0; at--) {
    const part = tokens.part[at] ?? -1;
    if (part >= 0) return part;
  }
  return -1;
}
