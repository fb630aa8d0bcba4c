/**
 * SAEBench's absorption rule: how much of a probe's projection main latents carry, and how much others took over. No
 * gradients, so it runs at every token. sae-bench@0.6.0 evals/absorption/feature_absorption_calculator.py; the idea:
 * Chanin et al. 2024, arXiv:2409.14507.
 *
 * Neither the probe's bias nor b_dec counts: the whole projection is x · p / ‖p‖.
 */

/** The rule's constants, by SAEBench's values. */
export const projectionRule = {
  /** Full: the strongest latent's cosine with the probe is at least this. */
  fullCosine: 0.025,
  /** Fraction: an absorber's cosine with the probe is at least this. */
  absorberCosine: 0.1,
  /** Both: absorbers carry at least this share of the whole projection. */
  share: 0.4,
  maxAbsorbers: 3,
  /** A main latent below this does not fire. */
  silent: 1e-8,
} as const;

/** A latent at a token with its part of the probe's projection: activation · cosine. */
export interface LatentProjection {
  readonly latent: number;
  readonly activation: number;
  readonly cosine: number;
  readonly projection: number;
}

/** What the rule says of one token and one label. */
export interface ProjectionReading {
  /** x · p / ‖p‖ */
  readonly projection: number;
  /** Sum over the main latents. */
  readonly mainProjection: number;
  readonly mainFires: boolean;
  /** Active latents by projection, largest first, at most `top`. */
  readonly strongest: readonly LatentProjection[];
  /** The latents whose sum the fraction takes, largest first, at most three. */
  readonly absorbers: readonly LatentProjection[];
  /** 0 … 1 */
  readonly fraction: number;
  /** One latent took over while no main latent fires. */
  readonly isFull: boolean;
  /**
   * Main latents fire, but weakly: the fraction is above 0, and main latents and absorbers both point along the probe. Whether both
   * have an effect on the task, the causal rule asks (`causal-rule.ts`).
   */
  readonly isPartial: boolean;
}

/** Active latents of one token. */
export interface ActiveLatents {
  readonly latents: ArrayLike<number>;
  readonly acts: ArrayLike<number>;
}

/** Applies the rule. `cosines [d_sae]`: of decoder rows with the probe's direction. */
export function projectionReading(
  active: ActiveLatents,
  {
    cosines,
    main,
    projection,
    top = 10,
  }: { cosines: Float32Array; main: readonly number[]; projection: number; top?: number },
): ProjectionReading {
  const all: LatentProjection[] = [];
  let [mainProjection, mainFires, mainAligned] = [0, false, false];
  for (let at = 0; at < active.latents.length; at++) {
    const latent = active.latents[at]!;
    const activation = active.acts[at]!;
    const cosine = cosines[latent]!;
    const entry = { latent, activation, cosine, projection: activation * cosine };
    all.push(entry);
    if (!main.includes(latent)) continue;
    mainProjection += entry.projection;
    if (!(activation < projectionRule.silent)) mainFires = true;
    if (entry.projection > 0) mainAligned = true;
  }
  all.sort((a, b) => b.projection - a.projection || a.latent - b.latent);
  const absorbers = all
    .filter(
      (it) =>
        it.projection > 0 &&
        it.cosine >= projectionRule.absorberCosine &&
        !main.includes(it.latent),
    )
    .slice(0, projectionRule.maxAbsorbers);
  const fraction = absorptionFraction(absorbers, mainProjection, projection);
  const [first] = all;
  const isFull =
    !mainFires &&
    first !== undefined &&
    first.cosine >= projectionRule.fullCosine &&
    projection >= 0 &&
    first.projection / projection >= projectionRule.share;
  return {
    projection,
    mainProjection,
    mainFires,
    strongest: all.slice(0, top),
    absorbers,
    fraction,
    isFull,
    isPartial: mainFires && mainAligned && fraction > 0,
  };
}

function absorptionFraction(
  absorbers: readonly LatentProjection[],
  main: number,
  whole: number,
): number {
  const sum = absorbers.reduce((total, it) => total + it.projection, 0);
  if (main >= whole || sum / whole < projectionRule.share) return 0;
  if (main <= 0) return 1;
  const taken = Math.min(sum, whole - main);
  return Math.min(1, Math.max(0, taken / (taken + main)));
}

/** Cosines of rows with a direction. `[n, d], [d] -> [n]`; a row of zeros has 0. */
export function cosinesWith(rows: Float32Array, direction: Float32Array): Float32Array {
  const d = direction.length;
  const norm = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0)) || 1;
  const cosines = new Float32Array(rows.length / d);
  for (let row = 0; row < cosines.length; row++) {
    let [product, squares] = [0, 0];
    for (let i = 0; i < d; i++) {
      const value = rows[row * d + i]!;
      product += value * direction[i]!;
      squares += value * value;
    }
    cosines[row] = squares === 0 ? 0 : product / (Math.sqrt(squares) * norm);
  }
  return cosines;
}
