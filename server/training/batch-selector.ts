/** The k·rows largest of a whole batch. */
import { gather, greater, reshape, squeeze } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { tensor } from "../tensor/tensor.ts";
import type { FormParts } from "./form.ts";
import { largestOf } from "./largest.ts";
import { nonzero } from "./nonzero.ts";
import {
  type EntryLists,
  lowWords,
  ScoreGraph,
  type Selection,
  type Selector,
  type SelectorInput,
  sparseRows,
} from "./selection.ts";

/** The first bound on a batch nobody has seen is read off so many rows. */
const sampledRows = 64;
/** Bounds lie so far below the smallest value that was kept, so that the next batch finds enough above them. */
const margin = 0.8;

/**
 * Loads a selector of the k·rows largest positive activations of a batch (SAELens: int(k·rows)).
 *
 * The graph returns what lies above a bound that is a guess; the exact largest are chosen here. If too few were above,
 * it runs again with a lower bound, so the guess decides the time, never the result: TopK over the flattened batch takes
 * 117 cpu-ms for 25 million numbers, this about 30.
 */
export async function openBatchSelector(
  { config, parameters, device }: FormParts,
  k: number,
): Promise<Selector> {
  const scores = new ScoreGraph(`${config.d_sae} latents: top ${k} a row`, config, parameters);
  const { graph, preActs, d_sae } = scores;
  const bound = graph.input("bound", "float32", [d_sae]);
  const places = squeeze(nonzero(reshape(greater(preActs, bound), [-1])), [0]);
  graph.output("places", places);
  graph.output("preActs", gather(reshape(preActs, [-1]), places));
  const session = await device.load(graph, { label: graph.name });
  return new BatchSelector(scores, session, k);
}

/** What lies above a bound: rows' latents and scores, in order. */
interface Candidates {
  readonly rows: number[];
  readonly latents: Uint32Array[];
  readonly preActs: Float32Array[];
  readonly scores: Float32Array;
}

class BatchSelector implements Selector {
  readonly #graph: ScoreGraph;
  readonly #session: Session;
  readonly #k: number;
  #lists: EntryLists | undefined;
  /** Smallest score that the last batch kept. No part of the state: it changes no result. */
  #last: number | undefined;

  constructor(graph: ScoreGraph, session: Session, k: number) {
    this.#graph = graph;
    this.#session = session;
    this.#k = k;
  }

  capacity(rows: number): number {
    return Math.min(Math.floor(this.#k * rows), rows * this.#graph.d_sae);
  }

  place(lists: EntryLists): void {
    this.#lists = lists;
  }

  async select(input: SelectorInput): Promise<Selection> {
    const wanted = this.capacity(input.rows);
    let bound = margin * (this.#last ?? (await this.#sample(input)));
    for (;;) {
      const found = await this.#above(bound, input);
      const chosen = largestOf(found.scores, wanted);
      // Scores are rounded products, bounds rounded quotients: what is kept must lie clear of the bound.
      const isSure = chosen.count === wanted && chosen.least > bound * (1 + 1e-5);
      if (isSure || bound === 0) return this.#take(found, chosen, input);
      bound = bound > 1e-20 ? bound / 4 : 0;
    }
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  /** A first guess of the smallest kept score, from a few rows. */
  async #sample(input: SelectorInput): Promise<number> {
    const rows = Math.min(sampledRows, input.rows);
    if (rows === input.rows) return 0;
    const { scores } = await this.#above(0, { ...input, rows });
    const { count, least } = largestOf(scores, this.capacity(rows));
    return count === 0 ? 0 : least;
  }

  async #above(bound: number, input: SelectorInput): Promise<Candidates> {
    const { d_sae } = this.#graph;
    const { norms } = input;
    const bounds = new Float32Array(d_sae).fill(bound);
    if (norms && bound > 0) for (let i = 0; i < d_sae; i++) bounds[i] = bound / norms[i]!;
    const rows: number[] = [];
    const latents: Uint32Array[] = [];
    const preActs: Float32Array[] = [];
    const feeds = { bound: tensor("float32", [d_sae], bounds) };
    await this.#graph.run(this.#session, input, feeds, (_, count, out) => {
      rows.push(count);
      latents.push(lowWords(out["places"]!));
      preActs.push(out["preActs"]!.data as Float32Array);
    });
    return { rows, latents, preActs, scores: scoresOf(latents, preActs, norms) };
  }

  /** Writes what was chosen to the lists. */
  #take(
    { rows, latents, preActs, scores }: Candidates,
    { least, ties }: { least: number; ties: number },
    input: SelectorInput,
  ): Selection {
    const lists = this.#lists!;
    const { d_sae } = this.#graph;
    const { norms } = input;
    let [entries, row, at, tiesLeft] = [0, 0, 0, ties];
    lists.offsets[0] = 0;
    rows.forEach((count, piece) => {
      const places = latents[piece]!;
      const values = preActs[piece]!;
      const first = row;
      for (let i = 0; i < values.length; i++, at++) {
        const score = scores[at]!;
        if (score < least || (score === least && tiesLeft-- <= 0)) continue;
        const place = places[2 * i]!;
        const here = first + Math.floor(place / d_sae);
        while (row < here) lists.offsets[++row] = entries;
        const latent = place % d_sae;
        lists.columns[entries] = latent;
        lists.values[entries] = norms ? score / norms[latent]! : score;
        entries++;
      }
      while (row < first + count) lists.offsets[++row] = entries;
    });
    if (entries > 0) this.#last = least;
    const smallest = entries > 0 ? least : undefined;
    return { ...sparseRows(lists, input.rows), entries, smallest };
  }
}

function scoresOf(
  latents: readonly Uint32Array[],
  preActs: readonly Float32Array[],
  norms: Float32Array | undefined,
): Float32Array {
  const scores = new Float32Array(preActs.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  preActs.forEach((values, piece) => {
    const places = latents[piece]!;
    const d_sae = norms?.length ?? 1;
    for (let i = 0; i < values.length; i++)
      scores[at++] = norms ? values[i]! * norms[places[2 * i]! % d_sae]! : values[i]!;
  });
  return scores;
}
