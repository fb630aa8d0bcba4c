/** Random Unicode text for property tests, the same for the same seed. */

const pools: readonly (readonly [number, number])[] = [
  [0x20, 0x7f],
  [0x20, 0x7f],
  [0x61, 0x7b],
  [0, 0x20],
  [0x80, 0x250],
  [0x300, 0x370],
  [0x400, 0x600],
  [0x900, 0xd80],
  [0x1100, 0x1200],
  [0x2000, 0x2070],
  [0x3000, 0x3100],
  [0x4e00, 0x4f00],
  [0xac00, 0xac80],
  [0xd800, 0xe000],
  [0xfe00, 0x10000],
  [0x1f300, 0x1f680],
  [0x10000, 0x10400],
];

/** Up to 30 characters from all over Unicode, lone surrogates among them. */
export function randomText(seed: number): string {
  let state = (seed + 1) * 0x9e3779b1;
  const next = (below: number): number => {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b) ^ Math.imul(state, 0xc2b2ae35);
    return (state >>> 0) % below;
  };
  let text = "";
  for (let left = next(30); left > 0; left--) {
    const [from, to] = pools[next(pools.length)] ?? [0x20, 0x7f];
    text += String.fromCodePoint(from + next(to - from)).repeat(next(12) === 0 ? 4 : 1);
    if (next(4) === 0) text += " ";
  }
  return text;
}
