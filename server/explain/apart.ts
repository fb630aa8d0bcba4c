/** A place of the corpus with an activation. */
export interface Candidate {
  /** Counted through all tokens. */
  readonly place: number;
  readonly act: number;
}

/**
 * The first candidates that are more than `distance` tokens from each one before them and from those taken already: with
 * candidates in falling order and the reach as distance SAEBench's `get_k_largest_indices(…, no_overlap=True)`.
 */
export function apart<T extends Candidate>(
  candidates: readonly T[],
  wanted: number,
  { distance, taken = [] }: { distance: number; taken?: readonly Candidate[] },
): T[] {
  const chosen: T[] = [];
  for (const candidate of candidates) {
    if (chosen.length === wanted) break;
    const isNear = ({ place }: Candidate): boolean => Math.abs(place - candidate.place) <= distance;
    if (!taken.some(isNear) && !chosen.some(isNear)) chosen.push(candidate);
  }
  return chosen;
}
