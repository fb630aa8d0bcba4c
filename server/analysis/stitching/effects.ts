/**
 * What inserting one wide latent into the narrow SAE does to its reconstruction: a latent that lowers the error says something
 * that the narrow SAE does not, one that raises it says the same twice. Leask et al. 2025, arXiv:2502.04878, section 4.
 */
import type { Agreement } from "../../protocol/stitching.ts";
import { cosineRule } from "../../protocol/stitching.ts";
import type { Composition, EncodedWindow } from "./composition.ts";

/** Of each wide latent, over all tokens of the sample but those at position 0. */
export interface InsertionEffects {
  /** Tokens on which it fires. */
  readonly fired: Int32Array;
  /** What the mean of ‖x − x_hat‖² over the tokens changes by when the latent is inserted; 0 where it never fires. */
  readonly deltaMse: Float64Array;
  readonly tokens: number;
}

/**
 * All latents at once and exactly: with e = x − x_hat of the narrow SAE, a token's squared error changes by
 * act²·‖d‖² − 2·act·(e·d).
 */
export function insertionEffects(
  base: Composition,
  windows: readonly EncodedWindow[],
): InsertionEffects {
  const { wide } = base.pair;
  const { d_in, W_dec } = wide;
  const fired = new Int32Array(wide.d_sae);
  const deltaMse = new Float64Array(wide.d_sae);
  let tokens = 0;
  for (const window of windows) {
    const { x_hat } = base.reconstruct(window);
    const { offsets, latents, acts } = window.wide;
    for (let row = 1; row < window.ids.length; row++) {
      tokens++;
      for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry++) {
        const latent = latents[entry]!;
        let withError = 0;
        let squares = 0;
        for (let at = 0; at < d_in; at++) {
          const value = W_dec[latent * d_in + at]!;
          withError += (window.x.data[row * d_in + at]! - x_hat[row * d_in + at]!) * value;
          squares += value * value;
        }
        const act = acts[entry]!;
        fired[latent]!++;
        deltaMse[latent]! += act * act * squares - 2 * act * withError;
      }
    }
  }
  for (let latent = 0; latent < deltaMse.length; latent++) deltaMse[latent]! /= Math.max(1, tokens);
  return { fired, deltaMse, tokens };
}

/** How far the cosine rule and a measured effect agree, over the latents for which the effect is known. */
export function agreementOf(
  judged: readonly { readonly cosine: number; readonly delta: number }[],
): Agreement {
  const count = (novelByCosine: boolean, novelByEffect: boolean): number =>
    judged.filter(
      (it) => it.cosine <= cosineRule === novelByCosine && isNovel(it) === novelByEffect,
    ).length;
  const bothNovel = count(true, true);
  const bothReconstruction = count(false, false);
  return {
    latents: judged.length,
    bothNovel,
    bothReconstruction,
    novelByCosineOnly: count(true, false),
    novelByEffectOnly: count(false, true),
    agreement: (bothNovel + bothReconstruction) / Math.max(1, judged.length),
    auc: areaUnderCurve(judged.map((it) => ({ score: -it.cosine, positive: isNovel(it) }))),
    ...bestThreshold(judged.map((it) => ({ cosine: it.cosine, novel: isNovel(it) }))),
  };
}

/** The threshold of cosines at or below which calling latents novel agrees most with their effect. */
function bestThreshold(judged: readonly { cosine: number; novel: boolean }[]): {
  bestCosine: number;
  bestAgreement: number;
} {
  const ordered = judged.toSorted((a, b) => a.cosine - b.cosine);
  // With nothing called novel, all that are not are right.
  let right = ordered.filter(({ novel }) => !novel).length;
  let best = { bestCosine: -1, right };
  for (const [at, { cosine, novel }] of ordered.entries()) {
    right += novel ? 1 : -1;
    if (ordered[at + 1]?.cosine !== cosine && right > best.right)
      best = { bestCosine: cosine, right };
  }
  return { bestCosine: best.bestCosine, bestAgreement: best.right / Math.max(1, judged.length) };
}

/** Probability that a novel latent has a smaller cosine than a reconstruction; ties count half. Null if there is only one kind. */
function areaUnderCurve(scored: readonly { score: number; positive: boolean }[]): number | null {
  const ordered = scored.toSorted((a, b) => a.score - b.score);
  let rankSum = 0;
  for (let from = 0; from < ordered.length;) {
    let to = from;
    while (to < ordered.length && ordered[to]!.score === ordered[from]!.score) to++;
    const rank = (from + to + 1) / 2;
    for (let at = from; at < to; at++) if (ordered[at]!.positive) rankSum += rank;
    from = to;
  }
  const positives = ordered.filter(({ positive }) => positive).length;
  const negatives = ordered.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

function isNovel({ delta }: { readonly delta: number }): boolean {
  return delta < 0;
}
