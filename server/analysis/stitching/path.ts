/**
 * The way from the narrow SAE to the wide one: novel latents go in, most helpful first; then reconstruction latents are swapped
 * for those that they replace, surest first; at last what has no counterpart on either side changes, too.
 */
import type { PathPoint, Rule } from "../../protocol/stitching.ts";
import { cosineRule } from "../../protocol/stitching.ts";
import type { Component } from "./components.ts";
import type { Composition, EncodedWindow } from "./composition.ts";
import type { InsertionEffects } from "./effects.ts";

/** Novel latents in the order in which they go in: by the rule, and by effect where that is known. */
export function novelLatents(
  best: Float32Array,
  rule: Rule,
  { fired, deltaMse }: InsertionEffects,
): number[] {
  // A latent that never fired on the sample has no effect to go by.
  const isNovel = (latent: number): boolean =>
    rule === "effect" && fired[latent]! > 0 ? deltaMse[latent]! < 0 : best[latent]! <= cosineRule;
  return [...best.keys()]
    .filter(isNovel)
    .toSorted((a, b) => deltaMse[a]! - deltaMse[b]! || best[a]! - best[b]!);
}

/** A step of the path. */
export interface PathStep {
  readonly phase: PathPoint["phase"];
  readonly apply: (composition: Composition) => void;
}

/**
 * The steps, at most `pieces` in each of the first two phases. Latents that never fire on the sample change nothing there and go in
 * with the last ones that do.
 */
export function pathSteps(
  novel: readonly number[],
  components: readonly Component[],
  { pieces, fired }: { pieces: number; fired: Int32Array },
): PathStep[] {
  const seen = inPieces(
    novel.filter((latent) => fired[latent]! > 0),
    pieces,
  );
  const unseen = novel.filter((latent) => fired[latent] === 0);
  const inserted =
    seen.length === 0 ? [unseen] : [...seen.slice(0, -1), [...seen.at(-1)!, ...unseen]];
  return [
    { phase: "start", apply: () => {} },
    ...inserted.map((some): PathStep => ({
      phase: "insert",
      apply: (it) => it.insert(some),
    })),
    ...inPieces(components, pieces).map((some): PathStep => ({
      phase: "swap",
      apply: (it) => {
        for (const component of some) it.swap(component);
      },
    })),
    { phase: "rest", apply: (it) => it.swapEverything() },
  ];
}

/** Squared error and active latents of a composition over the sample, without position 0. */
export function measureFit(
  composition: Composition,
  windows: readonly EncodedWindow[],
): { mse: number; fvu: number; l0: number; x_hats: Float32Array[] } {
  const { d_in } = composition.pair.narrow;
  const sum = new Float64Array(d_in);
  let [tokens, error, squares, active] = [0, 0, 0, 0];
  const x_hats: Float32Array[] = [];
  for (const window of windows) {
    const { x_hat, l0 } = composition.reconstruct(window);
    x_hats.push(x_hat);
    for (let row = 1; row < window.ids.length; row++) {
      tokens++;
      active += l0[row]!;
      for (let at = 0; at < d_in; at++) {
        const value = window.x.data[row * d_in + at]!;
        sum[at]! += value;
        squares += value * value;
        error += (value - x_hat[row * d_in + at]!) ** 2;
      }
    }
  }
  const ofMean = sum.reduce((total, it) => total + it * it, 0) / tokens;
  return { mse: error / tokens, fvu: error / (squares - ofMean), l0: active / tokens, x_hats };
}

function inPieces<T>(all: readonly T[], pieces: number): T[][] {
  const n = Math.min(pieces, all.length);
  return Array.from({ length: n }, (_, at) =>
    all.slice(Math.round((at * all.length) / n), Math.round(((at + 1) * all.length) / n)),
  );
}
