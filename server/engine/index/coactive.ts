/**
 * Latents that are active together. For each latent i, all of its tokens or a fixed number drawn by a hash; c_ij counts on
 * how many of those another latent j is active. With p_i, p_j the shares of all counted tokens, P_ij is estimated as
 * p_i · c_ij / sampled, and the list is by the correlation of being active,
 * (P_ij − p_i p_j) / √(p_i (1 − p_i) p_j (1 − p_j)): by c_ij alone, latents that are active everywhere would fill every list.
 * Exact for latents with no more tokens than are drawn.
 */
import { assert } from "../../base/errors.ts";
import type { PartArrays } from "../../store/index-writer.ts";
import type { IndexSizes } from "../../store/latent-index.ts";
import type { Postings } from "../../store/postings.ts";
import { placeHash } from "./places.ts";

/** What counting needs. */
export interface CoactiveTask {
  readonly postings: Postings;
  readonly sizes: IndexSizes;
  /** Tokens that count. */
  readonly counted: number;
  /** Entries that may be read at once. */
  readonly entries: number;
  /** Called between pieces of work, to let signals in. */
  readonly pause: () => Promise<void>;
}

/** Fills the arrays of latents `[from, to)`. */
export async function fillCoactive(
  arrays: PartArrays,
  [from, to]: readonly [number, number],
  task: CoactiveTask,
): Promise<void> {
  const { postings, sizes, pause } = task;
  assert(sizes.coactiveTokens < 2 ** 16, "counts have 16 bits");
  const d_sae = postings.counts.length;
  const counts = new Uint16Array((to - from) * d_sae);
  const requests = await drawTokens(from, to, task);
  let request = 0;
  for (const shard of postings.shards) {
    const end = shard.tokens[1];
    if (request === requests.length || requests[request]! >= end * placeFactor) continue;
    const { first, starts, latents } = postings.ofTokens(shard);
    for (; request < requests.length && requests[request]! < end * placeFactor; request++) {
      const key = requests[request]!;
      const row = (key % placeFactor) * d_sae;
      const token = Math.floor(key / placeFactor) - first;
      for (let i = starts[token]!; i < starts[token + 1]!; i++) counts[row + latents[i]!]!++;
    }
    await pause();
  }
  for (let latent = from; latent < to; latent++)
    fillList(arrays, counts, latent - from, latent, task);
}

/** A place and a latent of the range in one number, ordered by place. */
const placeFactor = 2 ** 20;

/** The tokens on which co-activation of latents `[from, to)` is counted, by place. */
async function drawTokens(
  from: number,
  to: number,
  { postings, sizes, entries, pause }: CoactiveTask,
): Promise<Float64Array> {
  assert(to - from <= placeFactor, "too many latents at once");
  const { counts } = postings;
  let total = 0;
  for (let latent = from; latent < to; latent++)
    total += Math.min(counts[latent]!, sizes.coactiveTokens);
  const keys = new Float64Array(total);
  let used = 0;
  for (let first = from; first < to;) {
    const last = stretchEnd(counts, first, to, entries);
    const { starts, positions } = postings.ofLatents(first, last);
    for (let latent = first; latent < last; latent++) {
      const own = positions.subarray(starts[latent - first], starts[latent - first + 1]);
      for (const place of drawn(own, latent, sizes.coactiveTokens))
        keys[used++] = place * placeFactor + (latent - from);
    }
    await pause();
    first = last;
  }
  return keys.sort();
}

/** Where a stretch of latents ends that has at most so many entries, but at least one latent. */
export function stretchEnd(counts: Uint32Array, from: number, to: number, entries: number): number {
  let end = from + 1;
  for (let sum = counts[from]!; end < to && sum + counts[end]! <= entries; end++)
    sum += counts[end]!;
  return end;
}

/** Those places whose hash is smallest. */
function drawn(places: Uint32Array, latent: number, wanted: number): Iterable<number> {
  if (places.length <= wanted) return places;
  // Most of a dense latent's places need not be sorted: a few more than are wanted lie below this.
  const limit = (2 ** 32 * (wanted + 8 * Math.sqrt(wanted))) / places.length;
  const below = places.filter((place) => placeHash(place, latent) < limit);
  const candidates = below.length >= wanted ? below : places;
  return Array.from(candidates)
    .toSorted((a, b) => placeHash(a, latent) - placeHash(b, latent) || a - b)
    .slice(0, wanted);
}

function fillList(
  arrays: PartArrays,
  counts: Uint16Array,
  row: number,
  latent: number,
  { postings, sizes, counted }: CoactiveTask,
): void {
  const d_sae = postings.counts.length;
  const { list } = sizes;
  const own = postings.counts[latent]!;
  const sampled = Math.min(own, sizes.coactiveTokens);
  arrays["sampled"]![row] = sampled;
  if (own === 0) return;
  const p = own / counted;
  const best: { other: number; correlation: number; count: number }[] = [];
  for (let other = 0; other < d_sae; other++) {
    const count = counts[row * d_sae + other]!;
    if (count === 0 || other === latent) continue;
    const q = postings.counts[other]! / counted;
    const spread = Math.sqrt(p * (1 - p) * q * (1 - q));
    if (!(spread > 0)) continue;
    const correlation = ((p * count) / sampled - p * q) / spread;
    if (best.length === list && correlation <= best[list - 1]!.correlation) continue;
    const at = best.findIndex((it) => it.correlation < correlation);
    best.splice(at < 0 ? best.length : at, 0, { other, correlation, count });
    best.length = Math.min(best.length, list);
  }
  for (const [rank, { other, correlation, count }] of best.entries()) {
    arrays["latent"]![row * list + rank] = other;
    arrays["latent.value"]![row * list + rank] = correlation;
    arrays["count"]![row * list + rank] = count;
  }
}
