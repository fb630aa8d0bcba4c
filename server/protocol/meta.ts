/**
 * Meta-SAEs across processes: how the decoder directions of one SAE's latents (the parent's) break down into meta-latents.
 * Leask et al. 2025, arXiv:2502.04878, section 5. Plain data only.
 */

/** A meta-latent in the breakdown of a latent. */
export interface MetaPart {
  readonly latent: number;
  readonly activation: number;
  /** Cosine of the latent's decoder row with the meta-latent's. */
  readonly cosine: number;
  /**
   * What the explained share falls by when this meta-latent is left out. The parts of a latent need not add up to its whole
   * share: meta-latents overlap, and b_dec explains something too.
   */
  readonly share: number;
}

/** A latent's decoder direction, broken down. */
export interface MetaBreakdown {
  readonly latent: number;
  /** 1 − ‖d − d_hat‖² for the unit direction d; negative if the meta-SAE makes it worse than nothing. */
  readonly explained: number;
  /** Strongest first. */
  readonly parts: readonly MetaPart[];
  /** Active meta-latents, of which `parts` may be the first ones. */
  readonly active: number;
}

/** A latent whose direction a meta-latent is part of. */
export interface MetaMember {
  readonly latent: number;
  readonly activation: number;
  readonly cosine: number;
}

/** A meta-latent with the latents it is part of. */
export interface MetaLatent {
  readonly latent: number;
  /** Strongest first; may be only the first of `count`. */
  readonly members: readonly MetaMember[];
  readonly count: number;
}

/** How much of the parent's decoder a meta-SAE explains, beside decoders that have nothing to explain. */
export interface MetaSummary {
  readonly meta: string;
  readonly parent: string;
  readonly d_sae: number;
  readonly parentLatents: number;
  /** Mean active meta-latents of a latent. */
  readonly l0: number;
  /** 1 − Σ‖d − d_hat‖² / Σ‖d − mean d‖² over the unit decoder rows d. */
  readonly varianceExplained: number;
  /** The same of rows whose entries were shuffled: no directions left. */
  readonly shuffledEntries: number;
  /** The same of rows whose dimensions were shuffled over latents: each dimension keeps its mean and spread. */
  readonly shuffledColumns: number;
  /** Meta-latents that are part of no latent. */
  readonly dead: number;
  /** Latents by explained share, in `bins` equal bins from 0 to 1 (below 0 in the first). */
  readonly explainedHistogram: readonly number[];
  /** Meta-latents by number of members: 0, 1, 2–3, 4–7, 8–15, … */
  readonly membersHistogram: readonly number[];
}

/** Meta-latents beside the latents of a narrower SAE on the parent's hook point, by cosine of decoder rows. */
export interface MetaComparison {
  readonly narrow: string;
  /** For each meta-latent the largest cosine, and the narrow latent that has it. */
  readonly best: Float32Array;
  readonly bestLatent: Int32Array;
  /** For each narrow latent the largest cosine, and the meta-latent that has it. */
  readonly bestBack: Float32Array;
  readonly bestBackLatent: Int32Array;
  /** Mean of `best`, of `bestBack`, and of the best cosines of shuffled meta-latents. */
  readonly mean: number;
  readonly meanBack: number;
  readonly shuffledMean: number;
}

/** The part of the reader's table that is about meta-SAEs. `parent` where the meta-SAE's own word for it is not its id. */
export interface MetaReaderMethods {
  /** Breakdowns of the given latents, each with at most `k` parts. Fast: nothing but these latents is looked at. */
  metaLatents(params: {
    meta: string;
    parent?: string;
    latents: readonly number[];
    k: number;
  }): MetaBreakdown[];
  /** Looks at all latents of the parent once and remembers it. */
  metaSummary(params: { meta: string; parent?: string }): MetaSummary;
  /** Meta-latents with their first `k` members. */
  metaMembers(params: {
    meta: string;
    parent?: string;
    latents: readonly number[];
    k: number;
  }): MetaLatent[];
  /** Compares meta-latents with the latents of a narrower SAE. */
  metaComparison(params: { meta: string; narrow: string }): MetaComparison;
}

/** Bins of `MetaSummary.explainedHistogram`. */
export const explainedBins = 20;

/** Labelled members that a derived label names, and characters of each. */
const membersInLabel = 2;
const labelLength = 40;

/**
 * A label for a meta-latent that has none, made of its members' labels: a hint at what they share, never a
 * finding. Undefined where too few of the strongest members have a label.
 */
export function derivedLabel(
  members: readonly MetaMember[],
  labelOf: (latent: number) => string | undefined,
): string | undefined {
  const labels = [...new Set(members.flatMap(({ latent }) => labelOf(latent) ?? []))];
  if (labels.length === 0) return undefined;
  return labels
    .slice(0, membersInLabel)
    .map((it) => (it.length > labelLength ? `${it.slice(0, labelLength - 1).trimEnd()}…` : it))
    .join(" / ");
}
