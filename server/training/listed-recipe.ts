/**
 * What an architecture with thresholds of its own says of a training step where few latents are active: the same loss and
 * gradients as its graph's (`dense-recipe.ts`), by the lists of active latents.
 */
import type { StepFacts } from "./form.ts";
import type { DecoderNorms } from "./decoder-norms.ts";
import type { Parameters } from "./parameters.ts";

/** Latents of a batch, row by row, in the arena. */
export interface ActiveLists {
  readonly rows: number;
  /** `[rows + 1]`: where each row's entries begin; the last is where they end. */
  readonly offsets: Int32Array;
  /** `[rows]`: where each row's active entries end; those behind them are not active, but have a slope. */
  readonly ends: Int32Array;
  readonly columns: Int32Array;
  /** x·W_enc without bias, until the recipe makes something else of it. */
  readonly products: Float32Array;
  /** Activations. */
  readonly values: Float32Array;
  /** Activations of a second decoding; empty where there is none. */
  readonly second: Float32Array;
}

/** What a penalty on activations is computed from; never negative ones. */
export interface ListedActs {
  readonly lists: ActiveLists;
  /** Of each entry. */
  readonly acts: Float32Array;
  /** Gradients by them, to which the penalty adds its own. */
  readonly slopes: Float32Array;
  readonly norms: DecoderNorms;
  /** What the recipe's `scalars` said of the step. */
  readonly scalars: Readonly<Record<string, number>>;
}

/** Summands of the loss beside squared errors, and numbers to be returned. */
export interface ListedParts {
  readonly parts: Readonly<Record<string, number>>;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** What a step is turned back with. */
export interface ListedBackward {
  readonly lists: ActiveLists;
  /** Gradients of the squared error by activations, which are to become those of the loss by products x·W_enc. */
  readonly slopes: Float32Array;
  /** Gradients of the second decoding's error by its activations; empty where there is none. */
  readonly secondSlopes: Float32Array;
  readonly parameters: Parameters;
  readonly norms: DecoderNorms;
  readonly scalars: Readonly<Record<string, number>>;
}

/** How an architecture works on lists. */
export interface ListedRecipe {
  /** A second reconstruction, without W_skip, whose error is a part of the loss, and whether it trains the decoder. */
  readonly second?: { readonly part: string; readonly trainsDecoder: boolean };
  /** Entries behind `ends` get a slope by their products. */
  readonly nearTrains?: boolean;
  /** Whether the lists say all that there is to this step. */
  applies(facts: StepFacts, parameters: Parameters): boolean;
  /** Products x·W_enc above which a latent may be active or have a slope. `[d_sae]` */
  bounds(parameters: Parameters): Float32Array;
  /** Fills in activations, in their rows' order; may leave entries out. */
  activate(lists: ActiveLists, parameters: Parameters): void;
  /** Adds the architecture's own gradients, but those of W_enc, W_dec, b_enc and b_dec, which follow from the slopes. */
  backward(step: ListedBackward): ListedParts;
}

/** Calls back for each row's active entries. */
export function forActiveRows(
  { rows, offsets, ends }: ActiveLists,
  row: (begin: number, end: number, row: number) => void,
): void {
  for (let at = 0; at < rows; at++) row(offsets[at]!, ends[at]!, at);
}

/** Each row's entries are all active. */
export function allActive({ rows, offsets, ends }: ActiveLists): void {
  ends.set(offsets.subarray(1, rows + 1));
}
