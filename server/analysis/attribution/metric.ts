/** Numbers that are attributed: logits, and projections of the residual stream. */
import type { LmGradients } from "../../lm/gradients.ts";
import type { Trace } from "../../lm/gradient-trace.ts";
import type { LogitTerm } from "../../lm/gradient-unembedding.ts";

/** What a forward pass is summed up to. */
export type Metric =
  /** Σ weight · logit: one term is a logit, two of opposite weight a logit difference. */
  | { readonly kind: "logits"; readonly terms: readonly LogitTerm[] }
  /** ⟨direction, residual that enters a layer⟩ at one position; a probe without its bias. */
  | {
      readonly kind: "direction";
      readonly layer: number;
      readonly position: number;
      readonly direction: Float32Array;
    };

/** A metric's value, and its gradient at the place where it is read. `[tokens, d_model]` */
export interface MetricGradient {
  readonly value: number;
  readonly layer: number;
  readonly dResid: Float32Array;
}

/** The last position that a metric reads. */
export function lastPosition(metric: Metric): number {
  if (metric.kind === "direction") return metric.position;
  return Math.max(...metric.terms.map(({ position }) => position));
}

/** Reads a metric off a forward pass. */
export async function readMetric(
  gradients: LmGradients,
  trace: Trace,
  metric: Metric,
  signal?: AbortSignal,
): Promise<MetricGradient> {
  const { n_layers, d_model } = gradients.lm.config;
  if (metric.kind === "logits") {
    const { unembedding } = gradients;
    const found = await unembedding.logits(trace.resid(n_layers), metric.terms, signal);
    return { ...found, layer: n_layers };
  }
  const { layer, position, direction } = metric;
  const resid = trace.resid(layer);
  const row = resid.subarray(position * d_model, (position + 1) * d_model);
  const dResid = new Float32Array(resid.length);
  dResid.set(direction, position * d_model);
  return { value: row.reduce((sum, x, i) => sum + x * direction[i]!, 0), layer, dResid };
}
