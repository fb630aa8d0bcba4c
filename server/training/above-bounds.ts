/** Which products x·W_enc lie above a bound of their latent: what is found where few are, without the others leaving the device. */
import { gather, greater, reshape, squeeze } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { tensor } from "../tensor/tensor.ts";
import type { FormParts } from "./form.ts";
import { nonzero } from "./nonzero.ts";
import { lowWords, ScoreGraph, type SelectorInput } from "./selection.ts";

/** What a piece of a batch has above its bounds, in the order of rows and latents. */
export interface FoundPiece {
  /** First row of the piece, and how many it has. */
  readonly from: number;
  readonly rows: number;
  /** row · d_sae + latent with rows counted from the piece's first, every second element (the others are 0). */
  readonly places: Uint32Array;
  /** x·W_enc at these places, without bias; the receiver's own. */
  readonly products: Float32Array;
}

/** Rows of a first piece that shows what is to be expected of the others. */
const firstRows = 128;

/** The graph, loaded. */
export class AboveBounds {
  readonly #graph: ScoreGraph;
  readonly #session: Session;

  private constructor(graph: ScoreGraph, session: Session) {
    this.#graph = graph;
    this.#session = session;
  }

  /** Loads it for the latents of a config. */
  static async open({ config, parameters, device }: FormParts): Promise<AboveBounds> {
    const scores = new ScoreGraph(`${config.d_sae} latents above bounds`, config, parameters);
    const { graph, products, d_sae } = scores;
    // Bias and norms belong into the bounds: added to 25 million products they would cost another 40 cpu-ms.
    const bound = graph.input("bound", "float32", [d_sae]);
    const places = squeeze(nonzero(reshape(greater(products, bound), [-1])), [0]);
    graph.output("places", places);
    graph.output("products", gather(reshape(products, [-1]), places));
    return new AboveBounds(scores, await device.load(graph, { label: graph.name }));
  }

  /**
   * Looks at all rows, piece by piece. `bounds` `[d_sae]` is asked for before each piece; `take` ends it all by returning
   * false.
   */
  async run(
    input: SelectorInput,
    bounds: () => Float32Array,
    take: (piece: FoundPiece) => boolean | void,
  ): Promise<void> {
    await this.#graph.run(this.#session, input, {
      firstRows,
      feeds: () => ({ bound: tensor("float32", [this.#graph.d_sae], bounds()) }),
      take: (from, rows, out) =>
        take({
          from,
          rows,
          places: lowWords(out["places"]!),
          products: out["products"]!.data as Float32Array,
        }),
    });
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
