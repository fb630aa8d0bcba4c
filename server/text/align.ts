/**
 * Two sequences aligned by what they have in common: Myers' greedy algorithm for a shortest edit script (E. Myers 1986, "An O(ND)
 * difference algorithm and its variations", section 2), which finds a longest common subsequence.
 */

/** Places of both sequences that belong together, in order. */
export interface Alignment {
  readonly pairs: readonly (readonly [before: number, after: number])[];
  /** False where the sequences differ so much that only their common beginning and end were aligned. */
  readonly complete: boolean;
}

/** Insertions and deletions that are searched for; each round is remembered, 64 MB at this number. */
const maxEdits = 4000;

/** Aligns two sequences by equal elements. */
export function align<T>(before: ArrayLike<T>, after: ArrayLike<T>, most = maxEdits): Alignment {
  const pairs: [number, number][] = [];
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) pairs.push([start, start++]);
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end])
    end++;
  const middle = slice(before, start, before.length - end);
  const other = slice(after, start, after.length - end);
  const found = shortestEdits(middle, other, most);
  for (const [a, b] of found ?? []) pairs.push([start + a, start + b]);
  for (let left = end; left > 0; left--) pairs.push([before.length - left, after.length - left]);
  return { pairs, complete: found !== undefined };
}

/** The common subsequence, or undefined if more than `most` insertions and deletions are needed. */
function shortestEdits<T>(
  before: readonly T[],
  after: readonly T[],
  most: number,
): [number, number][] | undefined {
  const n = before.length;
  const m = after.length;
  // reach[k + offset]: how far along `before` a path on diagonal k = x − y gets.
  const offset = Math.min(n + m, most) + 1;
  const reach = new Int32Array(2 * offset + 1);
  const rounds: Int32Array[] = [];
  for (let edits = 0; edits <= Math.min(n + m, most); edits++) {
    rounds.push(reach.slice(offset - edits - 1, offset + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      let x = startOf(k, edits, (at) => reach[at + offset] as number);
      while (x < n && x - k < m && before[x] === after[x - k]) x++;
      reach[k + offset] = x;
      if (x >= n && x - k >= m) return walkBack(rounds, n, m);
    }
  }
  return undefined;
}

/** Where a way on diagonal k begins in a round: below the end of diagonal k + 1, or to the right of that of k − 1. */
function startOf(k: number, edits: number, reach: (k: number) => number): number {
  return comesFromAbove(k, edits, reach) ? reach(k + 1) : reach(k - 1) + 1;
}

function comesFromAbove(k: number, edits: number, reach: (k: number) => number): boolean {
  return k === -edits || (k !== edits && reach(k - 1) < reach(k + 1));
}

/** The diagonal steps of the way from the end to the beginning, in order. */
function walkBack(rounds: readonly Int32Array[], n: number, m: number): [number, number][] {
  const pairs: [number, number][] = [];
  let x = n;
  let k = n - m;
  for (let edits = rounds.length - 1; edits >= 0; edits--) {
    const round = rounds[edits] as Int32Array;
    const reach = (at: number): number => round[at + edits + 1] as number;
    const first = startOf(k, edits, reach);
    while (x > first) pairs.push([--x, x - k]);
    const above = comesFromAbove(k, edits, reach);
    if (!above) x--;
    k += above ? 1 : -1;
  }
  return pairs.toReversed();
}

function slice<T>(list: ArrayLike<T>, from: number, to: number): T[] {
  return Array.from({ length: to - from }, (_, at) => list[from + at] as T);
}
