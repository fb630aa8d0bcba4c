/** SAEBench's summary of densities and directions. */
import type { MiscMetrics } from "./core-metrics.ts";
import type { LatentDirections } from "./directions.ts";

/** Shares of frequent and of living latents, and mean largest cosines; NaN counts as 0, as there. */
export function summarizeLatents(
  density: Float64Array,
  directions: LatentDirections | undefined,
): MiscMetrics {
  const n = density.length;
  const total = density.reduce((sum, it) => sum + it, 0);
  const above = (limit: number): { share: number; activity: number } => {
    const frequent = density.filter((it) => it > limit);
    const activity = frequent.reduce((sum, it) => sum + it, 0);
    return { share: frequent.length / n, activity: total > 0 ? activity / total : 0 };
  };
  const mean = (values: Float32Array): number =>
    values.reduce((sum, it) => sum + (Number.isNaN(it) ? 0 : it), 0) / n;
  return {
    freq_over_1_percent: above(0.01).share,
    freq_over_10_percent: above(0.1).share,
    normalized_freq_over_1_percent: above(0.01).activity,
    normalized_freq_over_10_percent: above(0.1).activity,
    ...(directions && {
      average_max_encoder_cosine_sim: mean(directions.maxEncoderCosine),
      average_max_decoder_cosine_sim: mean(directions.maxDecoderCosine),
    }),
    frac_alive: above(0).share,
  };
}
