/**
 * Comparing what latents read of two texts: two versions of a file, or a text and the same text with a sentence left out.
 * What the reader answers, and what pages and the editor's client may ask. Plain data and typed arrays.
 */
import type { ContextSource, ContextTokens } from "./context.ts";

/** What happens to a latent from one text to the other: active in the second alone, in the first alone, or in both. */
export type ChangeKind = "appears" | "vanishes" | "changes";

/** A latent at one token in both texts; 0 where it is silent. */
export interface TokenChange {
  readonly latent: number;
  readonly before: number;
  readonly after: number;
}

/** A latent over several tokens. */
export interface LatentTotals {
  /** Tokens where it is active. */
  readonly tokens: number;
  /** Its largest activation there, and the sum of all. */
  readonly max: number;
  readonly sum: number;
}

/** What became of a latent over all tokens that are compared. */
export interface LatentChange {
  readonly latent: number;
  readonly kind: ChangeKind;
  readonly before: LatentTotals;
  readonly after: LatentTotals;
  /** Σ|after − before| over the tokens; a token that one text lacks counts as silent there. */
  readonly change: number;
  /** The row where it changes most. */
  readonly strongest: { readonly row: number; readonly before: number; readonly after: number };
}

/** How many latents appear, vanish and change. */
export type ChangeCounts = Readonly<Record<ChangeKind, number>>;

/** How far two sets of activations are from each other. */
export interface Distance {
  /** Σ|after − before| over latents and tokens, in activations. */
  readonly change: number;
  /**
   * Bray and Curtis' dissimilarity: Σ|after − before| over Σ(|after| + |before|). 0 for the same activations, 1 where no
   * latent is active in both.
   */
  readonly dissimilarity: number;
}

/** A token of both texts, or of one of them. */
export interface ComparedRow extends Distance {
  /** Index of the token in each text; absent where the text lacks it. */
  readonly before?: number;
  readonly after?: number;
  /** False for the first position of a context, whose activations are of another size: it counts nowhere. */
  readonly counts: boolean;
  /** The strongest changes first; empty for a token that one text lacks. */
  readonly latents: readonly TokenChange[];
}

/** Which tokens count: all, or those that both texts have. */
export type ComparedTokens = "all" | "shared";

/** What is compared. */
export interface CompareParams {
  readonly lm: string;
  readonly sae: string;
  readonly before: ContextSource;
  readonly after: ContextSource;
  readonly tokens: ComparedTokens;
  /** Latents of each kind that are listed over all tokens, and changes at each token. */
  readonly top: number;
  readonly topPerToken: number;
  readonly progress?: string;
}

/** The answer: tokens aligned by their ids, and what latents did. */
export interface ComparisonReading extends Distance {
  readonly sae: string;
  readonly hook: string;
  readonly before: ContextTokens;
  readonly after: ContextTokens;
  readonly rows: readonly ComparedRow[];
  /** The largest changes first. */
  readonly latents: readonly LatentChange[];
  readonly counts: ChangeCounts;
  readonly problems: readonly string[];
}

/** What is left out, and of what. */
export interface CounterfactualParams {
  readonly lm: string;
  readonly sae: string;
  readonly context: ContextSource;
  /** Latents that are listed for each cell. */
  readonly top: number;
  readonly progress?: string;
}

/** A sentence of a context: a stretch of one part's text, in UTF-16 code units. */
export interface Sentence {
  readonly part: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A latent over the tokens of a sentence. */
export interface CellLatent {
  readonly latent: number;
  readonly kind: ChangeKind;
  /** Sums of its activations. */
  readonly before: number;
  readonly after: number;
  readonly change: number;
  /** The token of the whole text where it changes most. */
  readonly token: number;
}

/** What leaving out one sentence does to a later one. */
export interface CounterfactualCell extends Distance {
  readonly leftOut: number;
  readonly affected: number;
  /** Tokens of the affected sentence that both texts have, and those that were cut in another way and are not compared. */
  readonly tokens: number;
  readonly notCompared: number;
  readonly counts: ChangeCounts;
  /** The largest changes first. */
  readonly latents: readonly CellLatent[];
}

/** The answer: a cell for each pair of sentences of which the first stands before the second. */
export interface CounterfactualReading {
  readonly sae: string;
  readonly hook: string;
  readonly tokens: ContextTokens;
  readonly sentences: readonly Sentence[];
  readonly cells: readonly CounterfactualCell[];
  readonly problems: readonly string[];
}

/** The reader's methods. */
export interface ComparisonReaderMethods {
  /** What latents read of one text and of the other. */
  compare(params: CompareParams): ComparisonReading;
  /** What latents read of later sentences when one is left out, for each in turn. */
  counterfactual(params: CounterfactualParams): CounterfactualReading;
}

/** A text that is compared; its uri says how it is read, and which models its front matter or folder names. */
export interface ComparedText {
  readonly uri: string;
  readonly text: string;
}

/** What is asked about two texts. */
export interface CompareTexts {
  readonly before: ComparedText;
  readonly after: ComparedText;
  readonly sae?: string;
  /** Which of the pairs of contexts; by default the first that differ. */
  readonly pair?: number;
  readonly tokens: ComparedTokens;
}

/** Contexts of both texts that belong together. */
export interface ContextPair {
  readonly title: string;
  readonly state: "same" | "changed" | "added" | "removed";
}

/** A token as a page shows it, with its range in the file where it has one. */
export interface ComparedTokenView {
  readonly text: string;
  readonly id: number;
  readonly startOffset?: number;
  readonly endOffset?: number;
}

/** The answer to a page. */
export interface ComparisonView extends Omit<ComparisonReading, "before" | "after"> {
  readonly lm: string;
  readonly pairs: readonly ContextPair[];
  readonly pair: number;
  readonly saes: readonly string[];
  readonly before: readonly ComparedTokenView[];
  readonly after: readonly ComparedTokenView[];
  readonly labels: Readonly<Record<number, string>>;
}

/** What is asked about a context of a document. */
export interface CounterfactualText {
  readonly uri: string;
  readonly context: number;
  readonly sae?: string;
}

/** A sentence as a page shows it. */
export interface SentenceView {
  readonly text: string;
  readonly startOffset: number;
  readonly endOffset: number;
}

/** The answer to a page. */
export interface CounterfactualView extends Omit<CounterfactualReading, "tokens" | "sentences"> {
  readonly uri: string;
  readonly lm: string;
  readonly saes: readonly string[];
  readonly contexts: readonly string[];
  readonly tokens: readonly ComparedTokenView[];
  readonly sentences: readonly SentenceView[];
  readonly labels: Readonly<Record<number, string>>;
}

/** The methods of the server. */
export interface ComparisonMethods {
  /** Latents that appear, vanish and change from one text to the other; progress by LSP `$/progress`. */
  compareTexts(params: CompareTexts): ComparisonView;
  /** Which latents elsewhere change when a sentence is left out, for each in turn; progress as above. */
  counterfactualText(params: CounterfactualText): CounterfactualView;
}

/** What the pages may ask of their host beside the server's methods. */
export interface ComparisonHostMethods<Asked> {
  /** What the page is about; the texts' names are for its title. */
  start(params: Record<string, never>): {
    readonly asked: Asked;
    readonly names: readonly string[];
  };
  /** Shows a stretch of a text in an editor, by the number of its name. */
  reveal(params: { text: number; startOffset: number; endOffset: number }): null;
  /** Pins a latent. */
  pin(params: { sae: string; latent: number }): null;
}

/** Events to both pages. */
export interface ComparisonEvents {
  /** Something else is asked: start again. */
  restart: null;
  /** How far the answer is. */
  progress: { text: string; percentage?: number };
}
