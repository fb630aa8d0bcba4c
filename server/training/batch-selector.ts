/** The k·rows largest of a whole batch. */
import { AboveBounds } from "./above-bounds.ts";
import type { FormParts } from "./form.ts";
import { largestOf } from "./largest.ts";
import type { Parameters } from "./parameters.ts";
import {
  type EntryLists,
  type Selection,
  type Selector,
  type SelectorInput,
  sparseRows,
} from "./selection.ts";

/** The first piece's bound lies so far below the smallest value that the last batch kept. */
const marginOfLast = 0.8;
/** The other pieces' bound lies so far below the smallest value that the first would keep. */
const marginOfFirst = 0.85;
/** A bound that lets too few through is lowered so many times; then everything positive is looked at. */
const mostTries = 6;

/**
 * Loads a selector of the k·rows largest positive activations of a batch (SAELens: int(k·rows)).
 *
 * The graph returns what lies above bounds that are guesses; the exact largest are chosen here. If too few were above,
 * it runs again with a lower bound, so the guess decides the time, never the result: TopK over the flattened batch takes
 * 117 cpu-ms for 25 million numbers, this about 30.
 */
export async function openBatchSelector(parts: FormParts, k: number): Promise<Selector> {
  const { config, parameters } = parts;
  return new BatchSelector(await AboveBounds.open(parts), { k, parameters, d_sae: config.d_sae });
}

/** What lies above a bound: places in each piece of rows, and pre-activations times norms, in order. */
interface Candidates {
  readonly pieces: readonly Piece[];
  /** How many there are. */
  readonly count: number;
  /** The highest bound of a piece. */
  readonly bound: number;
}

interface Piece {
  readonly rows: number;
  readonly places: Uint32Array;
  readonly scores: Float32Array;
}

class BatchSelector implements Selector {
  readonly #above: AboveBounds;
  readonly #k: number;
  readonly #parameters: Parameters;
  readonly #d_sae: number;
  #lists: EntryLists | undefined;
  /** Smallest score that the last batch kept. No part of the state: it changes no result. */
  #last = 0;

  constructor(
    above: AboveBounds,
    { k, parameters, d_sae }: { k: number; parameters: Parameters; d_sae: number },
  ) {
    this.#above = above;
    this.#k = k;
    this.#parameters = parameters;
    this.#d_sae = d_sae;
  }

  capacity(rows: number): number {
    return Math.min(Math.floor(this.#k * rows), rows * this.#d_sae);
  }

  place(lists: EntryLists): void {
    this.#lists = lists;
  }

  async select(input: SelectorInput): Promise<Selection> {
    const wanted = this.capacity(input.rows);
    let bound = marginOfLast * this.#last;
    for (let tries = mostTries; ;) {
      const found = await this.#candidates(bound, input, tries === mostTries);
      const chosen = largestOf(
        found.pieces.map(({ scores }) => scores),
        wanted,
      );
      // Scores and bounds are rounded in different ways: what is kept must lie clear of the bound.
      const isSure = chosen.count === wanted && chosen.least > found.bound * (1 + 1e-3);
      if (isSure || found.bound === 0) return this.#take(found, chosen, input);
      // Where fewer latents are positive than are wanted, no bound but 0 will do.
      bound = --tries > 0 ? found.bound / 4 : 0;
    }
  }

  release(): Promise<void> {
    return this.#above.release();
  }

  /** What lies above a bound; with `raise` the first piece may raise that of the others. */
  async #candidates(start: number, input: SelectorInput, raise: boolean): Promise<Candidates> {
    const { norms } = input;
    const b_enc = this.#parameters.get("b_enc").value;
    const pieces: Piece[] = [];
    let [bound, count] = [start, 0];
    const bounds = () =>
      b_enc.map((bias, latent) => (norms ? bound / norms[latent]! : bound) - bias);
    await this.#above.run(input, bounds, ({ rows, places, products }) => {
      toScores(products, places, { b_enc, norms });
      pieces.push({ rows, places, scores: products });
      count += products.length;
      if (!raise || pieces.length > 1 || rows === input.rows) return;
      const first = largestOf([products], this.capacity(rows));
      if (first.count > 0 && first.count === this.capacity(rows))
        bound = Math.max(bound, marginOfFirst * first.least);
    });
    return { pieces, count, bound };
  }

  /** Writes what was chosen to the lists. */
  #take(
    { pieces }: Candidates,
    { least, ties }: { least: number; ties: number },
    input: SelectorInput,
  ): Selection {
    const { offsets, columns, values } = this.#lists!;
    const d_sae = this.#d_sae;
    const { norms } = input;
    let [entries, row, tiesLeft, first] = [0, 0, ties, 0];
    offsets[0] = 0;
    for (const { rows, places, scores } of pieces) {
      // Ends of rows are found by comparing: a division for each place costs more than all else here.
      let end = (row + 1 - first) * d_sae;
      for (let at = 0; at < scores.length; at++) {
        const score = scores[at]!;
        if (score < least || (score === least && tiesLeft-- <= 0)) continue;
        const place = places[2 * at]!;
        for (; place >= end; end += d_sae) offsets[++row] = entries;
        const latent = place - end + d_sae;
        columns[entries] = latent;
        values[entries] = norms ? score / norms[latent]! : score;
        entries++;
      }
      first += rows;
      while (row < first) offsets[++row] = entries;
    }
    if (entries > 0) this.#last = entries < this.capacity(input.rows) ? 0 : least;
    const smallest = entries > 0 ? least : undefined;
    return { ...sparseRows(this.#lists!, input.rows), entries, smallest };
  }
}

/** Turns products into pre-activations times norms, in place. */
function toScores(
  products: Float32Array,
  places: Uint32Array,
  { b_enc, norms }: { b_enc: Float32Array; norms: Float32Array | undefined },
): void {
  const d_sae = b_enc.length;
  let begin = 0;
  for (let at = 0; at < products.length; at++) {
    const place = places[2 * at]!;
    if (place - begin >= d_sae) begin = place - (place % d_sae);
    const latent = place - begin;
    const preAct = Math.fround(products[at]! + b_enc[latent]!);
    products[at] = norms ? preAct * norms[latent]! : preAct;
  }
}
