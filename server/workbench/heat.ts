/** Figures of tokens as colours: one number per token, and its place between 0 and 1. */
import { unreachable } from "../base/errors.ts";
import type { HeatMode, PinnedLatent } from "../protocol/page.ts";
import type { ContextReading, PredictionReading } from "../protocol/reader.ts";

/** A figure per token with the scale that turns it into heat. */
export interface Heat {
  /** NaN where a token has no such figure. */
  readonly values: Float32Array;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

/** What a mode is computed from. */
export interface HeatSource {
  readonly reading: ContextReading;
  readonly sae: string;
  readonly pinned: readonly PinnedLatent[];
  /** Largest activation seen of a latent anywhere. */
  readonly maxActivation: (latent: number) => number;
  readonly predictions?: PredictionReading;
}

/**
 * The figure of each token in a mode: its strongest activation, the pinned latents' largest activation, L0,
 * relative error Σ(x − x_hat)²/Σx², or −ln p(next token). Position 0 counts for no scale: its figures are of
 * another size on most models.
 */
export function heatOf(mode: HeatMode, source: HeatSource): Heat {
  switch (mode) {
    case "activation":
      return scaled(strongest(source), source, "activation");
    case "pinned":
      return pinned(source);
    case "l0":
      return scaled(l0(source), source, "active latents");
    case "error":
      return { ...scaled(relativeError(source), source, "of ‖x‖²"), min: 0 };
    case "loss":
      return scaled(source.predictions?.nextTokenLoss ?? absent(source), source, "nats");
    default:
      return unreachable(mode);
  }
}

/** Where a value lies on a heat's scale, in [0, 1]; 0 for NaN. */
export function heatAt({ values, min, max }: Heat, token: number): number {
  const value = values[token] as number;
  if (Number.isNaN(value) || max <= min) return 0;
  return Math.min(1, Math.max(0, (value - min) / (max - min)));
}

function strongest({ reading, sae }: HeatSource): Float32Array {
  const row = reading.saes[sae];
  return perToken(reading, (token) => {
    const from = row?.offsets[token] ?? 0;
    return from < (row?.offsets[token + 1] ?? 0) ? Math.abs(row?.acts[from] ?? 0) : 0;
  });
}

function pinned(source: HeatSource): Heat {
  const { reading, sae } = source;
  const wanted = new Set(source.pinned.filter((it) => it.sae === sae).map((it) => it.latent));
  const row = reading.saes[sae];
  let max = 0;
  const values = perToken(reading, (token) => {
    let largest = 0;
    for (let at = row?.offsets[token] ?? 0; at < (row?.offsets[token + 1] ?? 0); at++)
      if (wanted.has(row?.latents[at] as number))
        largest = Math.max(largest, Math.abs(row?.acts[at] as number));
    if ((reading.position[token] ?? 0) > 0) max = Math.max(max, largest);
    return largest;
  });
  const seen = [...wanted].map(source.maxActivation);
  return { values, min: 0, max: Math.max(max, ...seen), unit: "activation" };
}

function l0({ reading, sae }: HeatSource): Float32Array {
  const offsets = reading.saes[sae]?.offsets;
  return perToken(reading, (token) => (offsets?.[token + 1] ?? 0) - (offsets?.[token] ?? 0));
}

function relativeError({ reading, sae }: HeatSource): Float32Array {
  const row = reading.saes[sae];
  return perToken(
    reading,
    (token) => (row?.squaredError[token] ?? 0) / Math.max(1e-30, (row?.inputNorm[token] ?? 0) ** 2),
  );
}

function absent({ reading }: HeatSource): Float32Array {
  return new Float32Array(reading.tokens.ids.length).fill(Number.NaN);
}

function perToken(reading: ContextReading, value: (token: number) => number): Float32Array {
  return Float32Array.from({ length: reading.tokens.ids.length }, (_, token) => value(token));
}

function scaled(values: Float32Array, { reading }: HeatSource, unit: string): Heat {
  let max = 0;
  for (let token = 0; token < values.length; token++) {
    const value = values[token] as number;
    if ((reading.position[token] ?? 0) > 0 && value > max) max = value;
  }
  return { values, min: 0, max, unit };
}
