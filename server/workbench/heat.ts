/** Figures of tokens as colours: one number per token, and its place between 0 and 1. */
import { unreachable } from "../base/errors.ts";
import type { HeatMode } from "../protocol/page.ts";
import type { Pin } from "../protocol/pins.ts";
import type { ContextReading, PredictionReading } from "../protocol/reader.ts";

/** A figure per token with the scale that turns it into heat. */
export interface Heat {
  /** NaN where a token has no such figure. */
  readonly values: Float32Array;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  /** Where tokens have scales of their own: the place on it, in [0, 1], and the number of its colour, 0 for none. */
  readonly shares?: Float32Array;
  readonly colours?: Uint8Array;
}

/** What a mode is computed from. */
export interface HeatSource {
  readonly reading: ContextReading;
  readonly sae: string;
  readonly pinned: readonly Pin[];
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
export function heatAt({ values, min, max, shares }: Heat, token: number): number {
  if (shares) return shares[token] ?? 0;
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

/** Each pin of the SAE has a scale of its own; the strongest by it colours a token. */
function pinned({ reading, sae, pinned: pins, maxActivation }: HeatSource): Heat {
  const nTokens = reading.tokens.ids.length;
  const values = new Float32Array(nTokens);
  const shares = new Float32Array(nTokens);
  const colours = new Uint8Array(nTokens);
  let largest = 0;
  for (const pin of pins.filter((it) => it.sae === sae)) {
    const acts = activationsOf(reading, pin);
    const max = Math.max(acts.max, maxActivation(pin.latent));
    largest = Math.max(largest, max);
    for (const [token, value] of acts.values.entries()) {
      const share = max === 0 ? 0 : Math.min(1, value / max);
      if (share <= (shares[token] as number)) continue;
      values[token] = value;
      shares[token] = share;
      colours[token] = pin.colour;
    }
  }
  return { values, min: 0, max: largest, unit: "activation", shares, colours };
}

/** |activation| of a latent at each token, and the largest of all tokens but the first. `[tokens]` */
export function activationsOf(
  reading: ContextReading,
  { sae, latent }: { readonly sae: string; readonly latent: number },
): { values: Float32Array; max: number } {
  const row = reading.saes[sae];
  let max = 0;
  const values = perToken(reading, (token) => {
    const from = row?.offsets[token] ?? 0;
    const at = row?.latents.subarray(from, row.offsets[token + 1]).indexOf(latent) ?? -1;
    const value = at < 0 ? 0 : Math.abs(row?.acts[from + at] ?? 0);
    if ((reading.position[token] ?? 0) > 0) max = Math.max(max, value);
    return value;
  });
  return { values, max };
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
