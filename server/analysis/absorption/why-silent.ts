/**
 * Why a main latent stayed silent: its pre-activation split over the probe's direction, what each active latent's decoder row brings
 * besides that direction, and the rest. x = (x·p)p + Σ_j act_j·d_j⊥ + r, so preAct = w·x + b splits without a remainder.
 */
import { dot } from "../probes/linear-probe.ts";
import type { LatentEncoder } from "./encoders.ts";

/** One active latent's part. */
export interface RowPart {
  readonly latent: number;
  /** act · (d − (d·p)p) · w */
  readonly part: number;
  /** cos(W_enc main, W_dec latent): negative is the encoder's "and not". */
  readonly encoderCosine: number;
  /** cos(W_dec main, W_dec latent): how far both write the same. */
  readonly decoderCosine: number;
}

/** The parts; they sum to the pre-activation. */
export interface SilenceParts {
  /** (x·p)(p·w), p of norm 1. */
  readonly probe: number;
  readonly rows: readonly RowPart[];
  /** Everything else, the bias included. */
  readonly rest: number;
}

/** Splits a pre-activation. `direction` is the probe's, of any length; `decoderRows [active, d]` and the main latent's `mainRow [d]` as they are. */
export function silenceParts(
  { direction: w, bias }: LatentEncoder,
  x: Float32Array,
  {
    direction,
    latents,
    acts,
    decoderRows,
    mainRow,
  }: {
    readonly direction: Float32Array;
    readonly latents: readonly number[];
    readonly acts: readonly number[];
    readonly decoderRows: Float32Array;
    readonly mainRow: Float32Array;
  },
): SilenceParts {
  const n = x.length;
  const inner = (a: Float32Array, aAt: number, b: Float32Array): number =>
    dot(a, aAt, { b, bAt: 0, n });
  const square = inner(direction, 0, direction) || 1;
  const along = inner(w, 0, direction) / square;
  const probe = inner(x, 0, direction) * along;
  const norm = Math.sqrt(inner(w, 0, w)) || 1;
  const mainNorm = Math.sqrt(inner(mainRow, 0, mainRow)) || 1;
  const rows = latents.map((latent, at) => {
    const from = at * n;
    const row = decoderRows.subarray(from, from + n);
    const product = inner(row, 0, w);
    const length = Math.sqrt(inner(row, 0, row)) || 1;
    return {
      latent,
      part: acts[at]! * (product - inner(row, 0, direction) * along),
      encoderCosine: product / (length * norm),
      decoderCosine: inner(row, 0, mainRow) / (length * mainNorm),
    };
  });
  const preActivation = inner(x, 0, w) + bias;
  const rest = preActivation - probe - rows.reduce((sum, it) => sum + it.part, 0);
  return { probe, rows, rest };
}
