/**
 * What absorption by the paper's causal rule is reported as: on the command line, in a cache, to pages. Scores and effects have one
 * sign throughout: what the metric gains by a removal, so they are negative where the task hangs on what is removed.
 */

/** An active latent at a word: what it is to the probe and to the task. */
export interface CausalLatent {
  readonly latent: number;
  readonly activation: number;
  readonly cosine: number;
  /** What the metric would gain by its removal, by integrated gradients. */
  readonly score: number;
}

/** One word that the probe knows and the main latents' own probe misses, step by step. */
export interface CausalWord {
  readonly word: string;
  readonly prompt: string;
  /** Score of the k-sparse probe on the main latents, at or below 0. */
  readonly sparseScore: number;
  /** The metric: logit of the right answer less the mean of the others. */
  readonly value: number;
  readonly verdict: "absorbed" | "partial" | "none";
  readonly mainActivation: number;
  readonly mainScore: number;
  readonly top: CausalLatent | null;
  readonly secondScore: number;
  readonly margin: number;
  /** The rule's steps, in its order. */
  readonly isSilent: boolean;
  readonly lowers: boolean;
  readonly standsOut: boolean;
  readonly isAligned: boolean;
  /** For partial absorption: a main latent that fires points along the probe and has an effect, too. */
  readonly mainCounts: boolean;
  /** What the metric really gains when the first latent is removed. */
  readonly topEffect: number | null;
  /** Latents by score, the most negative first. */
  readonly strongest: readonly CausalLatent[];
  /** What SAEBench's projection rule says of the same prompt. */
  readonly byProjection: {
    readonly isFull: boolean;
    readonly isPartial: boolean;
    readonly fraction: number;
    readonly absorber: number | null;
  };
}

/**
 * What is removed from the residual at the word: the main latents that fire, where their own probe knows the word or where it misses
 * it; the absorber by either rule; on the words with an absorber, the other active latent whose activation is nearest to its own, and
 * as much of a random latent as the absorber's activation.
 */
export type RemovedKind =
  "main" | "main-weak" | "absorber-causal" | "absorber-projection" | "other-active" | "random";

/** What the metric gains when one kind of latent is removed: mean over words with a bootstrap interval. */
export interface RemovalEffect {
  readonly kind: RemovedKind;
  readonly words: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** One label. */
export interface CausalLabel {
  readonly label: string;
  /** Text of the token that the model answers with. */
  readonly answer: string;
  readonly main: readonly { readonly latent: number; readonly cosine: number }[];
  /** Words with the label that the probe knows. */
  readonly truePositives: number;
  /** Of these, words that the k-sparse probe on the main latents misses. */
  readonly falseNegatives: number;
  /** Of these, words whose main latents are silent in a prompt of their own, and how many of them were judged. */
  readonly silent: number;
  readonly silentJudged: number;
  /** And words whose main latents fire there. */
  readonly weak: number;
  readonly weakJudged: number;
  readonly absorbed: number;
  readonly partial: number;
  /** absorbed · silent / silentJudged / truePositives */
  readonly absorptionRate: number;
  /** partial · weak / weakJudged / truePositives */
  readonly partialRate: number;
  readonly absorbers: readonly {
    readonly latent: number;
    readonly cosine: number;
    readonly meanScore: number;
    readonly words: readonly string[];
  }[];
  readonly effects: readonly RemovalEffect[];
  readonly words: readonly CausalWord[];
}

/** One SAE on one task by the paper's rule. */
export interface CausalReport {
  readonly rule: "paper";
  /** In words. */
  readonly metric: string;
  readonly thresholds: Readonly<Record<string, number>>;
  /** Over the labels that were judged. */
  readonly mean: {
    readonly labels: number;
    readonly absorptionRate: number;
    readonly partialRate: number;
    readonly standardDeviation: {
      readonly absorptionRate: number;
      readonly partialRate: number;
    };
  };
  /** Over all words of all labels. */
  readonly effects: readonly RemovalEffect[];
  /** Scores against real removal, over the first latents of all judged words; null for fewer than three. */
  readonly agreement: { readonly words: number; readonly correlation: number | null };
  readonly labels: readonly CausalLabel[];
  readonly problems: readonly string[];
}

interface CausalQuestion {
  readonly sae: string;
  readonly labels: string;
  /** Words of a label that are judged at most. */
  readonly words: number;
}

/** What the reader is asked. */
export interface CausalReaderMethods {
  /** Judges an SAE by the paper's rule in the task's prompts; measures it as `prepareAbsorption` does if it was not measured. */
  causalAbsorption(params: CausalQuestion & { lm: string }): { report: CausalReport };
}

/** What the absorption page asks. */
export interface CausalPageMethods {
  causalAbsorption(params: CausalQuestion & { uri?: string }): {
    report: CausalReport;
    /** Labels of the latents in it, by their numbers. */
    names: Readonly<Record<string, string>>;
  };
}
