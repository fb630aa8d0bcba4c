/**
 * How much memory building an index takes, and how work is cut so that a setting bounds it.
 *
 * For 10 M tokens and 65,536 latents of which 100 are active at a token (10⁹ entries), d_vocab 256,000, d 2304, and a
 * setting of 4 GiB:
 *
 * - always: token ids 40 MB, the window of each token 40 MB, latents by token 33 MB, counts and norms 2 MB;
 * - reading: one shard of postings of 2²⁴ entries at 20 bytes, 336 MB; beside it the LM and the SAE;
 * - contexts: a part's entries at 8 bytes, 1 GiB (at least one latent: 80 MB if it is active on every token), and the
 *   part's arrays, at most 512 MiB (7.9 kB a latent);
 * - co-activation: counts of two bytes for pairs of as many latents as fit into 1 GiB with all others (7,700, so nine passes
 *   over 8 GB of postings), and one shard turned around, 200 MB;
 * - neighbours: unit rows in float32, 604 MB, and products of 512 × 8192;
 * - disk: 8 GB of postings while it is built, about 0.6 GB when it is done.
 *
 * None of these phases overlaps another, so the most is 4 GiB beside the LM and SAE: room to spare on 24 GiB.
 */
import { bytesPerLatent } from "../../store/index-writer.ts";
import type { IndexSizes } from "../../store/latent-index.ts";
import { bytesPerEntry } from "../../store/postings.ts";

/** What memory depends on. */
export interface IndexScale {
  readonly d_sae: number;
  readonly d_vocab: number;
  /** Width of decoder rows. */
  readonly d: number;
  readonly tokens: number;
  readonly sizes: IndexSizes;
}

/** Where work is cut. */
export interface IndexCuts {
  /** Entries of a shard of postings. */
  readonly shardEntries: number;
  /** Entries and latents of a part of contexts; a single latent with more entries is a part of its own. */
  readonly partEntries: number;
  readonly partLatents: number;
  /** Latents whose co-activation is counted together. */
  readonly coactiveLatents: number;
}

/** Bytes of two columns of an entry: position and activation. */
const entryBytes = 8;
const smallestShard = 2 ** 14;
const largestShard = 2 ** 24;

/** Cuts for a setting in bytes. */
export function indexCuts(memory: number, { d_sae, sizes }: IndexScale): IndexCuts {
  const quarter = memory / 4;
  const requests = 24 * sizes.coactiveTokens;
  return {
    shardEntries: Math.round(
      Math.min(largestShard, Math.max(smallestShard, quarter / bytesPerEntry)),
    ),
    partEntries: Math.max(1, Math.floor(quarter / entryBytes)),
    partLatents: latentsIn(memory / 8, bytesPerLatent("contexts", sizes), d_sae),
    coactiveLatents: latentsIn(quarter, 2 * d_sae + requests, d_sae),
  };
}

/** The most that is held at once, beside the LM and the SAE, for latents of which none has more entries than a part. */
export function indexMemory(memory: number, scale: IndexScale): number {
  const { d_sae, d_vocab, d, tokens, sizes } = scale;
  const cuts = indexCuts(memory, scale);
  const always = 8 * tokens + d_vocab * (8 * sizes.list + 4 + 12) + 40 * d_sae;
  const reading = cuts.shardEntries * bytesPerEntry;
  const contexts =
    // Sorting a latent's contexts takes 8 bytes for each of them.
    2 * entryBytes * cuts.partEntries + cuts.partLatents * bytesPerLatent("contexts", sizes);
  const turned = 12 * cuts.shardEntries;
  const coactive =
    cuts.coactiveLatents * (2 * d_sae + 24 * sizes.coactiveTokens) +
    Math.max(turned, entryBytes * cuts.partEntries);
  const neighbours = 4 * d_sae * d;
  return always + Math.max(reading, contexts, coactive, neighbours);
}

function latentsIn(bytes: number, each: number, d_sae: number): number {
  return Math.min(d_sae, Math.max(1, Math.floor(bytes / each)));
}
