/** Rows of vectors as meta-SAEs and comparisons of decoders read them, and the same without their structure. */

/** Rows scaled to norm 1; a row of zeros stays. `[n, width] -> [n, width]` */
export function unitRows(rows: Float32Array, width: number): Float32Array<ArrayBuffer> {
  const unit = new Float32Array(rows.length);
  for (let from = 0; from < rows.length; from += width) {
    let squares = 0;
    for (let at = from; at < from + width; at++) squares += rows[at]! ** 2;
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let at = from; at < from + width; at++) unit[at] = rows[at]! * scale;
  }
  return unit;
}

/** The entries of each row in random order (Fisher and Yates): the same norms and sizes, no directions. */
export function shuffledRows(
  rows: Float32Array,
  width: number,
  random: () => number,
): Float32Array<ArrayBuffer> {
  const result = Float32Array.from(rows);
  for (let from = 0; from < rows.length; from += width)
    for (let last = width - 1; last > 0; last--) {
      const other = from + Math.floor(random() * (last + 1));
      const kept = result[from + last]!;
      result[from + last] = result[other]!;
      result[other] = kept;
    }
  return result;
}

/**
 * The entries of each column in random order: each dimension keeps its mean and spread, the dimensions of a row no longer
 * belong together.
 */
export function shuffledColumns(
  rows: Float32Array,
  width: number,
  random: () => number,
): Float32Array<ArrayBuffer> {
  const result = Float32Array.from(rows);
  for (let column = 0; column < width; column++)
    for (let last = rows.length / width - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1)) * width + column;
      const kept = result[last * width + column]!;
      result[last * width + column] = result[other]!;
      result[other] = kept;
    }
  return result;
}
