/** The k largest of each row. */
import { abs, gatherElements, topk } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { FormParts } from "./form.ts";
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

/** What distinguishes TopK from AbsTopK. */
export interface RowSelectorOptions {
  readonly k: number;
  readonly rescaled: boolean;
  /** By size, signs kept; else by value, and only what is positive. */
  readonly signed: boolean;
}

/** Loads a selector of the k largest of each row. */
export async function openRowSelector(
  { config, parameters, device }: FormParts,
  options: RowSelectorOptions,
): Promise<Selector> {
  const k = Math.min(options.k, config.d_sae);
  const scores = new ScoreGraph(`${config.d_sae} latents: top ${k}`, config, parameters);
  const score = scores.scores(options.rescaled);
  const { values, indices } = topk(options.signed ? abs(score) : score, k, { sorted: false });
  scores.graph.output("latents", indices);
  scores.graph.output("scores", options.signed ? gatherElements(score, indices, 1) : values);
  const session = await device.load(scores.graph, { label: scores.graph.name });
  return new RowSelector(scores, session, { ...options, k, parameters });
}

class RowSelector implements Selector {
  readonly #graph: ScoreGraph;
  readonly #session: Session;
  readonly #options: RowSelectorOptions & { readonly parameters: Parameters };
  #lists: EntryLists | undefined;

  constructor(
    graph: ScoreGraph,
    session: Session,
    options: RowSelectorOptions & { readonly parameters: Parameters },
  ) {
    this.#graph = graph;
    this.#session = session;
    this.#options = options;
  }

  capacity(rows: number): number {
    return rows * this.#options.k;
  }

  place(lists: EntryLists): void {
    this.#lists = lists;
  }

  async select(input: SelectorInput): Promise<Selection> {
    const lists = this.#lists!;
    const { norms } = input;
    const smallest = new SmallestOfRows();
    let entries = 0;
    const feeds: Record<string, Tensor> = { b_enc: this.#options.parameters.feed("b_enc") };
    if (norms) feeds["norms"] = tensor("float32", [norms.length], norms);
    lists.offsets[0] = 0;
    await this.#graph.run(this.#session, input, {
      feeds: () => feeds,
      take: (from, count, out) => {
        for (let row = 0; row < count; row++) {
          entries = this.#takeRow(row, out, { norms, entries, smallest });
          lists.offsets[from + row + 1] = entries;
        }
      },
    });
    return { ...sparseRows(lists, input.rows), entries, smallest: smallest.mean };
  }

  /** Appends a row's entries; returns where they end. */
  #takeRow(
    row: number,
    out: Readonly<Record<string, Tensor>>,
    state: { norms: Float32Array | undefined; entries: number; smallest: SmallestOfRows },
  ): number {
    const { columns, values } = this.#lists!;
    const { k, signed } = this.#options;
    const { norms, smallest } = state;
    const latents = lowWords(out["latents"]!);
    const scores = out["scores"]!.data as Float32Array;
    let { entries } = state;
    let least = Infinity;
    for (let at = row * k; at < (row + 1) * k; at++) {
      const score = scores[at]!;
      if (score > 0 ? false : !signed || score === 0) continue;
      const latent = latents[2 * at]!;
      columns[entries] = latent;
      values[entries] = norms ? score / norms[latent]! : score;
      if (score > 0 && score < least) least = score;
      entries++;
    }
    smallest.add(least);
    return entries;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/**
 * Mean over rows of the smallest positive activation. dictionary_learning@0.1.0 trainers/top_k.py `update_threshold`,
 * where a row without any makes the mean infinite; here it is left out.
 */
class SmallestOfRows {
  #sum = 0;
  #rows = 0;

  add(least: number): void {
    if (least === Infinity) return;
    this.#sum += least;
    this.#rows++;
  }

  get mean(): number | undefined {
    return this.#rows === 0 ? undefined : this.#sum / this.#rows;
  }
}
