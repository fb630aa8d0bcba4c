/** The n-th largest of many positive numbers, without sorting them. */

/** What separates the largest `count` numbers from the rest. */
export interface Largest {
  /** How many were found: `wanted`, or all if there are fewer. */
  readonly count: number;
  /** The smallest of them; Infinity if there are none. */
  readonly least: number;
  /** How many of those that equal `least` belong to them. */
  readonly ties: number;
}

/**
 * The `wanted` largest of positive float32 numbers in several lists. Positive floats have the order of their bits: the
 * upper and then the lower halves are counted.
 */
export function largestOf(lists: readonly Float32Array[], wanted: number): Largest {
  const count = Math.min(
    wanted,
    lists.reduce((sum, { length }) => sum + length, 0),
  );
  if (count === 0) return { count: 0, least: Infinity, ties: 0 };
  const words = lists.map((it) => new Uint32Array(it.buffer, it.byteOffset, it.length));
  const upper = new Uint32Array(2 ** 16);
  for (const bits of words) for (let at = 0; at < bits.length; at++) upper[bits[at]! >>> 16]!++;
  const [high, above] = crossing(upper, count);
  const lower = new Uint32Array(2 ** 16);
  for (const bits of words)
    for (let at = 0; at < bits.length; at++)
      if (bits[at]! >>> 16 === high) lower[bits[at]! & 0xffff]!++;
  const [low, aboveBoth] = crossing(lower, count - above);
  const least = new Float32Array(Uint32Array.of(((high << 16) | low) >>> 0).buffer)[0]!;
  return { count, least, ties: count - above - aboveBoth };
}

/** The bin, from the top, in which `wanted` numbers are reached, and how many lie above it. */
function crossing(bins: Uint32Array, wanted: number): [bin: number, above: number] {
  let above = 0;
  let bin = bins.length - 1;
  while (above + bins[bin]! < wanted) above += bins[bin--]!;
  return [bin, above];
}
