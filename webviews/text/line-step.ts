/** Where a drawn token is: its index and box (px). */
export interface TokenBox {
  readonly index: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/**
 * The token one visual line below (`step` 1) or above (−1) `index`, nearest in x; undefined where no such line is
 * drawn. `boxes` are in reading order.
 */
export function tokenOnNextLine(
  boxes: readonly TokenBox[],
  index: number,
  step: 1 | -1,
): number | undefined {
  const here = boxes.find((box) => box.index === index);
  if (!here) return undefined;
  const ahead = step === 1 ? boxes : boxes.toReversed();
  const beyond = ahead.filter((box) => (step === 1 ? isBelow(box, here) : isBelow(here, box)));
  const [first] = beyond;
  if (!first) return undefined;
  const line = beyond.filter((box) => sameLine(box, first));
  const x = (here.left + here.right) / 2;
  return line.reduce((best, box) => (distance(box, x) < distance(best, x) ? box : best)).index;
}

/** The first (`step` −1) or last (1) token of the visual line that holds `index`. */
export function lineEnd(
  boxes: readonly TokenBox[],
  index: number,
  step: 1 | -1,
): number | undefined {
  const here = boxes.find((box) => box.index === index);
  if (!here) return undefined;
  const line = boxes.filter((box) => sameLine(box, here));
  return (step === 1 ? line.at(-1) : line[0])?.index;
}

function sameLine(a: TokenBox, b: TokenBox): boolean {
  return !isBelow(a, b) && !isBelow(b, a);
}

/** Lines do not overlap; half a height forgives rounding and marks that stick out. */
function isBelow(box: TokenBox, other: TokenBox): boolean {
  return (box.top + box.bottom) / 2 > other.bottom;
}

function distance(box: TokenBox, x: number): number {
  return Math.max(box.left - x, x - box.right, 0);
}
