/** What taking a latent away really does to a number: the measure that attributions stand in for. */
import type { LmGradients } from "../../lm/gradients.ts";
import type { LatentAttribution, SplicedText } from "./attribute.ts";
import { metricAt } from "./attribute.ts";
import type { Metric } from "./metric.ts";

/** A row that is taken away: an amount of a latent's decoder row. */
export interface TakenRow {
  readonly latent: number;
  readonly amount: number;
}

/**
 * The fall of a metric when latents' parts of the residual are taken away at one position, everything else as it was: one forward
 * pass from the SAE on for each entry. Signs as in an attribution: positive where the latent raised the number.
 */
export async function ablationEffects(
  gradients: LmGradients,
  text: SplicedText,
  entries: readonly Pick<LatentAttribution, "position" | "latent" | "activation">[],
  { metric, signal, onStep }: Asked & { metric: Metric },
): Promise<number[]> {
  const value = await metricAt(gradients, text, { metric, resid: text.resid, signal });
  const effects: number[] = [];
  for (const [index, { position, latent, activation }] of entries.entries()) {
    signal?.throwIfAborted();
    await onStep?.(index, entries.length);
    const rows = [{ latent, amount: activation }];
    effects.push(await fallWithout(gradients, text, { position, rows, metric, value, signal }));
  }
  return effects;
}

interface Asked {
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((done: number, total: number) => void | Promise<void>) | undefined;
}

/** The fall of a metric, whose value for the text as it is, is known, when some rows at once are taken away at a position. */
export async function fallWithout(
  gradients: LmGradients,
  text: SplicedText,
  {
    position,
    rows,
    metric,
    value,
    signal,
  }: {
    readonly position: number;
    readonly rows: readonly TakenRow[];
    readonly metric: Metric;
    readonly value: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<number> {
  const { site, scales, resid } = text;
  const width = resid.length / text.tokens;
  const directions = site.sae.decoderRows(rows.map(({ latent }) => latent));
  const changed = resid.slice();
  for (const [row, { amount }] of rows.entries()) {
    const scaled = amount * (scales?.[position] ?? 1);
    for (let i = 0; i < width; i++)
      changed[position * width + i]! -= scaled * directions[row * width + i]!;
  }
  return value - (await metricAt(gradients, text, { metric, resid: changed, signal }));
}

/** Pearson's correlation of two lists; undefined where one does not vary or fewer than three are given. */
export function correlation(a: readonly number[], b: readonly number[]): number | undefined {
  const n = a.length;
  if (n < 3) return undefined;
  const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / n;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i]! - meanA, b[i]! - meanB];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? undefined : ab / Math.sqrt(aa * bb);
}
