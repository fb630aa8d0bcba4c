/**
 * The paper's absorption rule for one token: main latents are silent, one latent stands out by what its removal would do to the
 * task, and it points along the probe. Chanin et al. 2024, arXiv:2409.14507; the steps and constants are those of its code,
 * lasr-spelling/sae-spelling `feature_absorption_calculator.py` (`_is_absorption`) and `experiments/feature_absorption.py`.
 *
 * A latent's score is integrated gradients' estimate of what the metric gains by removing it: negative for a latent that the task
 * hangs on, 0 for one that is not active.
 */

/** The rule's constants; those of the first group are published. */
export const causalRule = {
  /** Main latents whose activations sum to less are silent. */
  silent: 1e-8,
  /** |score| of the first latent less |score| of the second, in logits, is at least this. */
  margin: 1,
  /** cos(decoder row, probe) of the first latent is at least this. */
  cosine: 0.025,
  /** Points of integrated gradients, each at the end of its step that is nearer to the text as it is. */
  steps: 6,
  /** Latents that are told of a word. */
  top: 10,
  /** Words of a label that are judged at most; rates are scaled up by the share that was drawn. */
  wordsPerLabel: 200,
} as const;

/**
 * Partial absorption: the published rule knows full absorption alone, so this one is ours. It asks of the latents besides the main
 * ones what the published rule asks of all, and that a main latent that fires points along the probe and has an effect, too. (That
 * main latents are weak where they fire is asked before: their own probe misses the word.)
 */
export const partialRule = {
  /** Score of the main latents that fire, summed: at most minus this (a tenth of the published margin). */
  mainEffect: 0.1,
  /** cos(decoder row, probe) of a main latent that fires is at least the published one. */
  mainCosine: causalRule.cosine,
} as const;

/** An active latent at the token. */
export interface ScoredLatent {
  readonly latent: number;
  readonly activation: number;
  /** cos(decoder row, probe) */
  readonly cosine: number;
  /** In units of the metric; negative where its removal would lower the metric. */
  readonly score: number;
}

/** The rule's steps with their figures. */
export interface CausalSteps {
  /** Sum of the main latents' activations. */
  readonly mainActivation: number;
  /** Sum of the main latents' scores. */
  readonly mainScore: number;
  /** The latent of the most negative score: of all, or of those besides the main ones where these fire. */
  readonly top: ScoredLatent | undefined;
  /** Score of the next one; 0 where no other latent's is negative. */
  readonly secondScore: number;
  /** |score| of the first less |score| of the second. */
  readonly margin: number;
  readonly isSilent: boolean;
  readonly lowers: boolean;
  readonly standsOut: boolean;
  readonly isAligned: boolean;
  /** A main latent that fires has the probe's direction, and removing those that fire lowers the metric. */
  readonly mainCounts: boolean;
}

/** What the rule says of a word that the probe knows and the main latents' own probe misses. */
export interface CausalVerdict {
  readonly verdict: "absorbed" | "partial" | "none";
  readonly steps: CausalSteps;
  /** Latents by score, the most negative first, at most `causalRule.top`. */
  readonly strongest: readonly ScoredLatent[];
}

/** Applies the rule to the active latents of one token. */
export function causalVerdict(
  active: readonly ScoredLatent[],
  main: readonly number[],
): CausalVerdict {
  const sum = (list: readonly ScoredLatent[], of: "activation" | "score"): number =>
    list.reduce((total, it) => total + it[of], 0);
  const byScore = active.toSorted((a, b) => a.score - b.score || a.latent - b.latent);
  const isMain = (it: ScoredLatent): boolean => main.includes(it.latent);
  const firing = byScore.filter((it) => isMain(it) && it.activation > 0);
  const mainActivation = sum(firing, "activation");
  const isSilent = mainActivation < causalRule.silent;
  // All other latents of the SAE have a score of 0 and stand behind those whose score is negative.
  const lowering = byScore.filter((it) => it.score < 0 && (isSilent || !isMain(it)));
  const [top, second] = lowering;
  const secondScore = second?.score ?? 0;
  const margin = Math.abs(top?.score ?? 0) - Math.abs(secondScore);
  const mainScore = sum(firing, "score");
  const steps: CausalSteps = {
    mainActivation,
    mainScore,
    top,
    secondScore,
    margin,
    isSilent,
    lowers: top !== undefined,
    standsOut: margin >= causalRule.margin,
    isAligned: top !== undefined && top.cosine >= causalRule.cosine,
    mainCounts:
      firing.some((it) => it.cosine >= partialRule.mainCosine) &&
      mainScore <= -partialRule.mainEffect,
  };
  const standsOut = steps.lowers && steps.standsOut && steps.isAligned;
  const verdict = !standsOut
    ? "none"
    : isSilent
      ? "absorbed"
      : steps.mainCounts
        ? "partial"
        : "none";
  return { verdict, steps, strongest: byScore.slice(0, causalRule.top) };
}
