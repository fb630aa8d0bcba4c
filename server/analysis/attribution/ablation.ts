/** What taking a latent away really does to a number: the measure that attributions stand in for. */
import type { LmGradients } from "../../lm/gradients.ts";
import type { LatentAttribution, SplicedText } from "./attribute.ts";
import { metricAt } from "./attribute.ts";
import type { Metric } from "./metric.ts";

/**
 * The fall of a metric when a latent's part of the residual is taken away at one position, everything else as it was: one forward
 * pass from the SAE on for each. Signs as in an attribution: positive where the latent raised the number.
 */
export async function ablationEffects(
  gradients: LmGradients,
  text: SplicedText,
  entries: readonly Pick<LatentAttribution, "position" | "latent" | "activation">[],
  {
    metric,
    signal,
    onStep,
  }: {
    metric: Metric;
    signal?: AbortSignal | undefined;
    onStep?: ((done: number, total: number) => void | Promise<void>) | undefined;
  },
): Promise<number[]> {
  const { site, scales, resid } = text;
  const width = resid.length / text.tokens;
  const value = await metricAt(gradients, text, { metric, resid, signal });
  const effects: number[] = [];
  for (const [index, { position, latent, activation }] of entries.entries()) {
    signal?.throwIfAborted();
    await onStep?.(index, entries.length);
    const direction = site.sae.decoderRows([latent]);
    const amount = activation * (scales?.[position] ?? 1);
    const changed = resid.slice();
    for (let i = 0; i < width; i++) changed[position * width + i]! -= amount * direction[i]!;
    effects.push(value - (await metricAt(gradients, text, { metric, resid: changed, signal })));
  }
  return effects;
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
