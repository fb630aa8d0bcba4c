/** Drawing and finding places of a corpus: counted through all its tokens. */

/** A whole number below 2^32 for a place and a latent, as good as drawn (the finaliser of MurmurHash3). */
export function placeHash(place: number, latent: number): number {
  let h = place ^ Math.imul(latent, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Index of the first element that is not smaller. */
export function lowerBound(sorted: Uint32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
