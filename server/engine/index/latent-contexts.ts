/**
 * What a latent does over a corpus, from its postings: histogram, tokens, and the contexts to show. Everything is by
 * |activation|: architectures with negative activations are active where they are not zero.
 *
 * A context is a stretch of `before + 1 + after` tokens of a window, counted from the window's start; its strongest token
 * stands for it, so that one passage is not shown twice. The strongest contexts are kept; the others, ordered by
 * activation, are cut into groups of equal size (as delphi's quantiles, EleutherAI/delphi `samplers.py`), and a few of each
 * are drawn by a hash of their place: the same whatever order or parts they are computed in.
 */
import { assert } from "../../base/errors.ts";
import type { PartArrays } from "../../store/index-writer.ts";
import { examplesOf, type IndexSizes, noExample } from "../../store/latent-index.ts";
import type { LatentPostings } from "../../store/postings.ts";
import type { CorpusTokens } from "./corpus-tokens.ts";
import { lowerBound, placeHash } from "./places.ts";
import { silentPlaces } from "./silent-places.ts";
import type { TokenLatents } from "./token-latents.ts";

/** Activations of one latent: places ascending. */
interface Entries {
  readonly positions: Uint32Array;
  readonly acts: Float32Array;
}

/** Count, largest and mean |activation| of each latent. */
export interface SummaryArrays {
  readonly count: Uint32Array<ArrayBuffer>;
  readonly max: Float32Array<ArrayBuffer>;
  readonly mean: Float32Array<ArrayBuffer>;
}

/** Contexts of one latent that can be told apart in a sort: 2^22 of 48 tokens are 200 M tokens. */
const mostContexts = 2 ** 22;

/** Fills the arrays of a part, latent by latent. */
export class LatentContexts {
  readonly #corpus: CorpusTokens;
  readonly #sizes: IndexSizes;
  readonly #tokens: TokenLatents;
  readonly #summary: SummaryArrays;
  /** Σ |activation| and count by token, for the latent at hand. */
  readonly #sums: Float64Array;
  readonly #counts: Uint32Array;

  constructor(
    corpus: CorpusTokens,
    sizes: IndexSizes,
    out: { tokens: TokenLatents; summary: SummaryArrays },
  ) {
    this.#corpus = corpus;
    this.#sizes = sizes;
    this.#tokens = out.tokens;
    this.#summary = out.summary;
    this.#sums = new Float64Array(corpus.frequency.length);
    this.#counts = new Uint32Array(corpus.frequency.length);
  }

  /** Writes latent `from + at` of the postings into row `at` of the arrays. */
  fill(arrays: PartArrays, { from, starts, positions, acts }: LatentPostings, at: number): void {
    const range = [starts[at]!, starts[at + 1]!] as const;
    const entries = { positions: positions.subarray(...range), acts: acts.subarray(...range) };
    const latent = from + at;
    const n = entries.acts.length;
    const { silent } = this.#sizes;
    arrays["silent"]!.set(
      silentPlaces(entries.positions, latent, { corpus: this.#corpus, sizes: this.#sizes }),
      at * silent,
    );
    if (n === 0) {
      arrays["group"]!.fill(
        noExample,
        at * examplesOf(this.#sizes),
        (at + 1) * examplesOf(this.#sizes),
      );
      return;
    }
    let max = 0;
    let sum = 0;
    for (const act of entries.acts) {
      sum += Math.abs(act);
      max = Math.max(max, Math.abs(act));
    }
    this.#summary.count[latent] = n;
    this.#summary.max[latent] = max;
    this.#summary.mean[latent] = sum / n;
    const { bins } = this.#sizes;
    const histogram = arrays["histogram"]!;
    for (const act of entries.acts) histogram[at * bins + binOf(Math.abs(act), max, bins)]!++;
    this.#fillTokens(arrays, entries, latent, at);
    this.#fillExamples(arrays, entries, latent, at);
  }

  #fillTokens(arrays: PartArrays, entries: Entries, latent: number, at: number): void {
    const ids: number[] = [];
    let squares = 0;
    for (let i = 0; i < entries.acts.length; i++) {
      const act = Math.abs(entries.acts[i]!);
      const id = this.#corpus.windows.idAt(entries.positions[i]!);
      if (this.#counts[id] === 0) ids.push(id);
      this.#counts[id]!++;
      this.#sums[id]! += act;
      squares += act * act;
    }
    const { list } = this.#sizes;
    const strongest = ids.toSorted((a, b) => this.#sums[b]! - this.#sums[a]! || a - b);
    for (const [rank, id] of strongest.slice(0, list).entries()) {
      const place = at * list + rank;
      arrays["token"]![place] = id;
      arrays["token.value"]![place] = this.#sums[id]! / this.#counts[id]!;
      arrays["token.count"]![place] = this.#counts[id]!;
    }
    for (const id of ids) {
      this.#tokens.note(
        id,
        latent,
        this.#sums[id]! / Math.sqrt(squares * this.#corpus.frequency[id]!),
      );
      this.#sums[id] = 0;
      this.#counts[id] = 0;
    }
  }

  #fillExamples(arrays: PartArrays, entries: Entries, latent: number, at: number): void {
    const { before, after } = this.#sizes;
    const examples = examplesOf(this.#sizes);
    const chosen = chooseExamples(this.#strongestOfContexts(entries), entries, latent, this.#sizes);
    const width = before + 1 + after;
    const groups = arrays["group"]!;
    groups.fill(noExample, at * examples, (at + 1) * examples);
    for (const [rank, { entry, group }] of chosen.entries()) {
      const place = at * examples + rank;
      const peak = entries.positions[entry]!;
      const [start, end] = this.#corpus.bounds(this.#corpus.windowOf(peak));
      const from = Math.max(start, peak - before);
      const to = Math.min(end, peak + after + 1);
      groups[place] = group;
      arrays["peak"]![place] = peak;
      arrays["start"]![place] = from;
      arrays["length"]![place] = to - from;
      for (let i = lowerBound(entries.positions, from); i < entries.acts.length; i++) {
        const shown = entries.positions[i]! - from;
        if (shown >= to - from) break;
        arrays["acts"]![place * width + shown] = entries.acts[i]!;
      }
    }
  }

  /** The strongest entry of each context; of equal ones the first. */
  #strongestOfContexts({ positions, acts }: Entries): number[] {
    const { before, after } = this.#sizes;
    const width = before + 1 + after;
    const found: number[] = [];
    let known = -1;
    for (let i = 0; i < acts.length; i++) {
      const window = this.#corpus.windowOf(positions[i]!);
      const start = this.#corpus.windows.start(window);
      // Windows do not share contexts: their first tokens tell them apart.
      const context = start + width * Math.floor((positions[i]! - start) / width);
      if (context !== known) found.push(i);
      else if (Math.abs(acts[i]!) > Math.abs(acts[found.at(-1)!]!)) found[found.length - 1] = i;
      known = context;
    }
    return found;
  }
}

/** Entries to show: the strongest, then some of each quantile, from the weakest on; strongest first within a group. */
function chooseExamples(
  candidates: readonly number[],
  { acts, positions }: Entries,
  latent: number,
  { top, quantiles, perQuantile }: IndexSizes,
): { entry: number; group: number }[] {
  assert(candidates.length < mostContexts, `${candidates.length} contexts of one latent`);
  // One number orders by |activation|, then by place: bits of positive floats are ordered as they are.
  const bits = new Uint32Array(Float32Array.from(candidates, (i) => Math.abs(acts[i]!)).buffer);
  const keys = Float64Array.from(bits, (bit, i) => bit * mostContexts + (mostContexts - 1 - i));
  keys.sort();
  const ranked = Array.from(keys, (key) => candidates[mostContexts - 1 - (key % mostContexts)]!);
  const rest = ranked.length - Math.min(top, ranked.length);
  const chosen = ranked
    .slice(rest)
    .toReversed()
    .map((entry) => ({ entry, group: 0 }));
  for (let group = 1; group <= quantiles; group++) {
    const from = Math.floor(((group - 1) * rest) / quantiles);
    const to = Math.floor((group * rest) / quantiles);
    const ranks = drawn(from, to, perQuantile, (rank) =>
      placeHash(positions[ranked[rank]!]!, latent),
    );
    chosen.push(...ranks.map((rank) => ({ entry: ranked[rank]!, group })));
  }
  return chosen;
}

/** Those of the ranks `[from, to)` with the smallest hashes, highest rank first. One look at each: sorting took ten times as long. */
function drawn(
  from: number,
  to: number,
  wanted: number,
  hashOf: (rank: number) => number,
): number[] {
  const best: { rank: number; hash: number }[] = [];
  for (let rank = from; rank < to; rank++) {
    const hash = hashOf(rank);
    if (best.length === wanted && hash >= (best[wanted - 1]?.hash ?? 0)) continue;
    const at = best.findIndex((it) => hash < it.hash);
    best.splice(at < 0 ? best.length : at, 0, { rank, hash });
    best.length = Math.min(best.length, wanted);
  }
  return best.map(({ rank }) => rank).toSorted((a, b) => b - a);
}

/** Bin of an activation: equal widths from 0 to the largest, which belongs to the last. */
function binOf(act: number, max: number, bins: number): number {
  return Math.min(bins - 1, Math.floor((act / max) * bins));
}
