/** Which latents tell two sets of examples apart: what is asked and answered. */
import type { ContextSource } from "./context.ts";

/** How a latent's activations on the tokens of an example become one number. */
export type FindPool = "max" | "mean";

/** A stretch of a context, read with what stands before it. */
export interface FindExample {
  /** Index into the contexts. */
  readonly context: number;
  readonly positive: boolean;
  /** Offsets of the file, UTF-16, end exclusive; the whole context without them. */
  readonly startOffset?: number;
  readonly endOffset?: number;
}

/** How well something tells held-out examples apart. */
export interface HeldOut {
  /** Area under the ROC curve: the chance that an example of the one set scores above one of the other. */
  readonly auc: number;
  readonly f1: number;
}

/** A latent. */
export interface FoundLatent extends HeldOut {
  readonly latent: number;
  /** The set in which it fires more, on the examples that it was chosen by. `f1` is about that set. */
  readonly set: "positive" | "negative";
  /** On the examples that it was chosen by. */
  readonly trainAuc: number;
  /** Mean of the pooled |activation| over the examples of each set, and the share of them on which it fires. */
  readonly positiveMean: number;
  readonly negativeMean: number;
  readonly positiveShare: number;
  readonly negativeShare: number;
}

/** A logistic regression on a few latents together. */
export interface FoundCombination extends HeldOut {
  readonly latents: readonly number[];
}

/** The answer. All scores are of examples that nothing was chosen or fitted by. */
export interface FoundLatents {
  readonly sae: string;
  readonly pool: FindPool;
  readonly seed: number;
  readonly positives: number;
  readonly negatives: number;
  readonly heldPositives: number;
  readonly heldNegatives: number;
  /** Best first, by how they tell the other half apart. */
  readonly latents: readonly FoundLatent[];
  /** Of one to four latents. */
  readonly combinations: readonly FoundCombination[];
  /** A logistic regression on the mean residual at the SAE's hook point: what a probe without latents can do. */
  readonly baseline: HeldOut;
  /** What speaks against trusting the figures, such as too few examples. */
  readonly notes: readonly string[];
}

/** What the reader is asked. */
export interface FindParams {
  readonly lm: string;
  readonly sae: string;
  readonly contexts: readonly ContextSource[];
  readonly examples: readonly FindExample[];
  readonly pool: FindPool;
  /** Splits the examples in halves. */
  readonly seed: number;
  /** Latents in the answer, at most. */
  readonly most: number;
  /** Name under which progress is told. */
  readonly progress?: string;
}

/** The reader's part. */
export interface FindReaderMethods {
  findLatents(params: FindParams): FoundLatents;
}

/** A stretch of an open document. */
export interface FindSelection {
  readonly uri: string;
  readonly startOffset: number;
  readonly endOffset: number;
}

/** A set of examples: stretches of open documents, or a file of which each line (each conversation) is one. */
export type FindSet = { readonly selections: readonly FindSelection[] } | { readonly file: string };

/** The part of the page table. */
export interface FindMethods {
  /** The name under which the explorer lists what was found (`LatentQuery` of the kind "found"), until the server ends. */
  findByExamples(params: { sae: string; positive: FindSet; negative: FindSet; pool: FindPool }): {
    search: string;
  };
  foundLatents(params: { search: string }): FoundLatents;
}
