/**
 * Places of a corpus at which a latent is silent, drawn at random: the other half of a test of what it stands for. A place
 * and its neighbours within `silentReach` lie in one window, all of them count, and the latent is active on none of them; no
 * two stretches share a token. (EleutherAI/delphi `random_non_activating_windows` looks for silence, too; SAEBench 0.6.0
 * `AutoInterp.gather_data` takes random places for silent without looking.)
 */
import { type IndexSizes, noPlace } from "../../store/latent-index.ts";
import type { CorpusTokens } from "./corpus-tokens.ts";
import { lowerBound, placeHash } from "./places.ts";

/** Draws for each place that is wanted: a latent that is active nearly everywhere gets fewer places. */
const mostDraws = 256;

/** Places in the order they were drawn, then `noPlace`. `positions`: where the latent is active, ascending. `-> [silent]` */
export function silentPlaces(
  positions: Uint32Array,
  latent: number,
  { corpus, sizes }: { corpus: CorpusTokens; sizes: IndexSizes },
): Uint32Array {
  const { silent, silentReach: reach } = sizes;
  const found = new Uint32Array(silent).fill(noPlace);
  const { tokens } = corpus.windows;
  let used = 0;
  if (tokens === 0) return found;
  for (let draw = 0; draw < mostDraws * silent && used < silent; draw++) {
    // Of another series than the hashes that choose contexts.
    const place = Math.floor((placeHash(draw, latent + 0x51e7) / 2 ** 32) * tokens);
    if (!allCount(corpus, place, reach)) continue;
    const next = positions[lowerBound(positions, place - reach)];
    if (next !== undefined && next <= place + reach) continue;
    if (found.subarray(0, used).some((it) => Math.abs(it - place) <= 2 * reach)) continue;
    found[used++] = place;
  }
  return found;
}

function allCount(corpus: CorpusTokens, place: number, reach: number): boolean {
  const [start, end] = corpus.bounds(corpus.windowOf(place));
  if (place - reach < start || place + reach >= end) return false;
  for (let at = place - reach; at <= place + reach; at++)
    if (!corpus.counts(at - start, corpus.windows.idAt(at))) return false;
  return true;
}
