/**
 * Groups of latents that can only be swapped together: connected components of the graph whose edges are pairs of a wide and
 * a narrow latent with a cosine above the rule. Leask et al. 2025, arXiv:2502.04878, section 4.
 */
import type { Cosines } from "../cosines.ts";

/** Wide latents that stand for narrow ones. */
export interface Component {
  readonly wide: readonly number[];
  readonly narrow: readonly number[];
  /** The largest cosine within. */
  readonly cosine: number;
}

/** All components with at least one edge, the surest (largest cosine) first. */
export function componentsOf({ offsets, rows, cosines }: Cosines, nNarrow: number): Component[] {
  const nWide = offsets.length - 1;
  // Union-find over narrow latents 0 … nNarrow − 1 and wide ones behind them.
  const parent = Int32Array.from({ length: nNarrow + nWide }, (_, at) => at);
  const root = (at: number): number => {
    let top = at;
    while (parent[top] !== top) top = parent[top]!;
    while (parent[at] !== top) [at, parent[at]] = [parent[at]!, top];
    return top;
  };
  for (let wide = 0; wide < nWide; wide++)
    for (let pair = offsets[wide]!; pair < offsets[wide + 1]!; pair++)
      parent[root(nNarrow + wide)] = root(rows[pair]!);
  const found = new Map<number, { wide: number[]; narrow: Set<number>; cosine: number }>();
  for (let wide = 0; wide < nWide; wide++)
    for (let pair = offsets[wide]!; pair < offsets[wide + 1]!; pair++) {
      const top = root(nNarrow + wide);
      const own = found.get(top) ?? { wide: [], narrow: new Set<number>(), cosine: 0 };
      found.set(top, own);
      if (own.wide.at(-1) !== wide) own.wide.push(wide);
      own.narrow.add(rows[pair]!);
      own.cosine = Math.max(own.cosine, cosines[pair]!);
    }
  return [...found.values()]
    .map(({ wide, narrow, cosine }) => ({
      wide,
      narrow: [...narrow].toSorted((a, b) => a - b),
      cosine,
    }))
    .toSorted((a, b) => b.cosine - a.cosine || a.wide[0]! - b.wide[0]!);
}
