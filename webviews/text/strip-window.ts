/**
 * Which part of a long token strip is in the document. The strip is cut into blocks of equally many tokens; blocks
 * outside the window are replaced by space of their measured or estimated height.
 */

/** Tokens in a block; the block's first index stands beside it, so that positions can be read off. */
export const blockSize = 100;

/** Blocks [from, to) are drawn, with so much space (px) for those before and after. */
export interface StripWindow {
  readonly from: number;
  readonly to: number;
  readonly before: number;
  readonly after: number;
}

/** Heights of blocks, measured where they were drawn and estimated elsewhere. */
export interface BlockHeights {
  readonly count: number;
  readonly measured: ReadonlyMap<number, number>;
  readonly estimate: number;
}

/** How many blocks hold `tokens` tokens. */
export function blockCount(tokens: number): number {
  return Math.ceil(tokens / blockSize);
}

/** Distance (px) from the strip's top to the top of a block. */
export function blockTop(heights: BlockHeights, block: number): number {
  let top = 0;
  for (let at = 0; at < Math.min(block, heights.count); at++) top += heightOf(heights, at);
  return top;
}

/** The blocks that a viewport shows, and one more on either side so that the keyboard can go on. */
export function stripWindow(
  heights: BlockHeights,
  scrollTop: number,
  viewportHeight: number,
): StripWindow {
  let top = 0;
  let first = -1;
  let last = -1;
  for (let block = 0; block < heights.count; block++) {
    const bottom = top + heightOf(heights, block);
    if (first < 0 && (bottom > scrollTop || block === heights.count - 1)) first = block;
    if (top < scrollTop + viewportHeight) last = block;
    top = bottom;
  }
  if (first < 0) return { from: 0, to: 0, before: 0, after: 0 };
  const from = Math.max(0, first - 1);
  const to = Math.min(heights.count, Math.max(first, last) + 2);
  const before = blockTop(heights, from);
  return { from, to, before, after: top - blockTop(heights, to) };
}

/** The mean of the measured heights, for blocks that were never drawn. */
export function estimateHeight(measured: ReadonlyMap<number, number>, fallback: number): number {
  if (measured.size === 0) return fallback;
  let sum = 0;
  for (const height of measured.values()) sum += height;
  return sum / measured.size;
}

function heightOf(heights: BlockHeights, block: number): number {
  return heights.measured.get(block) ?? heights.estimate;
}
