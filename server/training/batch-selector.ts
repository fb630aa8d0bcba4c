/** The k·rows largest of a whole batch. */
import { gather, greater, reshape, squeeze } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { tensor } from "../tensor/tensor.ts";
import type { FormParts } from "./form.ts";
import { largestOf } from "./largest.ts";
import { nonzero } from "./nonzero.ts";
import type { Parameters } from "./parameters.ts";
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
/** A bound that lets too few through is lowered so many times; then everything positive is looked at. */
const mostTries = 6;

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
  const { graph, products, d_sae } = scores;
  // b_enc and norms are in the bounds: added to 25 million products they would cost another 40 cpu-ms.
  const bound = graph.input("bound", "float32", [d_sae]);
  const places = squeeze(nonzero(reshape(greater(products, bound), [-1])), [0]);
  graph.output("places", places);
  graph.output("products", gather(reshape(products, [-1]), places));
  const session = await device.load(graph, { label: graph.name });
  return new BatchSelector(scores, session, { k, parameters });
}

/** What lies above a bound: places in each piece of rows, and pre-activations times norms, in order. */
interface Candidates {
  readonly pieces: readonly { readonly rows: number; readonly places: Uint32Array }[];
  readonly scores: Float32Array;
}

class BatchSelector implements Selector {
  readonly #graph: ScoreGraph;
  readonly #session: Session;
  readonly #k: number;
  readonly #parameters: Parameters;
  #lists: EntryLists | undefined;
  /** Smallest score that the last batch kept. No part of the state: it changes no result. */
  #last: number | undefined;

  constructor(
    graph: ScoreGraph,
    session: Session,
    { k, parameters }: { k: number; parameters: Parameters },
  ) {
    this.#graph = graph;
    this.#session = session;
    this.#k = k;
    this.#parameters = parameters;
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
    for (let tries = mostTries; ;) {
      const found = await this.#above(bound, input);
      const chosen = largestOf(found.scores, wanted);
      // Scores and bounds are rounded in different ways: what is kept must lie clear of the bound.
      const isSure = chosen.count === wanted && chosen.least > bound * (1 + 1e-3);
      if (isSure || bound === 0) return this.#take(found, chosen, input);
      // Where fewer latents are positive than are wanted, no bound but 0 will do.
      bound = --tries > 0 ? bound / 4 : 0;
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
    const b_enc = this.#parameters.get("b_enc").value;
    const bounds = b_enc.map((bias, latent) => (norms ? bound / norms[latent]! : bound) - bias);
    const pieces: { rows: number; places: Uint32Array }[] = [];
    const scores: Float32Array[] = [];
    const feeds = { bound: tensor("float32", [d_sae], bounds) };
    await this.#graph.run(this.#session, input, feeds, (_, rows, out) => {
      const places = lowWords(out["places"]!);
      const found = out["products"]!.data as Float32Array;
      for (let i = 0; i < found.length; i++) {
        const latent = places[2 * i]! % d_sae;
        const preAct = Math.fround(found[i]! + b_enc[latent]!);
        found[i] = norms ? preAct * norms[latent]! : preAct;
      }
      pieces.push({ rows, places });
      scores.push(found);
    });
    return { pieces, scores: joined(scores) };
  }

  /** Writes what was chosen to the lists. */
  #take(
    { pieces, scores }: Candidates,
    { least, ties }: { least: number; ties: number },
    input: SelectorInput,
  ): Selection {
    const lists = this.#lists!;
    const { d_sae } = this.#graph;
    const { norms } = input;
    let [entries, row, at, tiesLeft] = [0, 0, 0, ties];
    lists.offsets[0] = 0;
    for (const { rows, places } of pieces) {
      const first = row;
      for (let i = 0; i < places.length; i += 2) {
        const score = scores[at++]!;
        if (score < least || (score === least && tiesLeft-- <= 0)) continue;
        const place = places[i]!;
        const here = first + Math.floor(place / d_sae);
        while (row < here) lists.offsets[++row] = entries;
        const latent = place % d_sae;
        lists.columns[entries] = latent;
        lists.values[entries] = norms ? score / norms[latent]! : score;
        entries++;
      }
      while (row < first + rows) lists.offsets[++row] = entries;
    }
    if (entries > 0) this.#last = entries < this.capacity(input.rows) ? 0 : least;
    const smallest = entries > 0 ? least : undefined;
    return { ...sparseRows(lists, input.rows), entries, smallest };
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
