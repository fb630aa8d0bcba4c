/**
 * What an SAE reads of consecutive rows, in a form that can be cut and joined: after an edit only the rows behind
 * the unchanged prefix are encoded again.
 */
import type { SparseActs } from "../sae/sae.ts";

/** Active latents, error and input norm of rows. */
export interface SaeRows {
  readonly acts: SparseActs;
  /** Σ_d (x − x_hat)² of each row. */
  readonly squaredError: Float32Array;
  /** ||x|| of each row. */
  readonly inputNorm: Float32Array;
}

/** Rows [from, to). */
export function sliceRows(
  { acts, squaredError, inputNorm }: SaeRows,
  from: number,
  to: number,
): SaeRows {
  const first = acts.offsets[from] ?? 0;
  const end = acts.offsets[to] ?? first;
  return {
    acts: {
      offsets: acts.offsets.subarray(from, to + 1).map((offset) => offset - first),
      latents: acts.latents.subarray(first, end),
      acts: acts.acts.subarray(first, end),
    },
    squaredError: squaredError.subarray(from, to),
    inputNorm: inputNorm.subarray(from, to),
  };
}

/** The rows of both, one after the other. */
export function joinRows(a: SaeRows, b: SaeRows): SaeRows {
  const nRows = a.squaredError.length;
  const nEntries = a.acts.latents.length;
  const offsets = new Int32Array(nRows + b.squaredError.length + 1);
  offsets.set(a.acts.offsets);
  offsets.set(
    b.acts.offsets.map((offset) => offset + nEntries),
    nRows,
  );
  return {
    acts: {
      offsets,
      latents: joined(Int32Array, a.acts.latents, b.acts.latents),
      acts: joined(Float32Array, a.acts.acts, b.acts.acts),
    },
    squaredError: joined(Float32Array, a.squaredError, b.squaredError),
    inputNorm: joined(Float32Array, a.inputNorm, b.inputNorm),
  };
}

function joined<T extends Int32Array | Float32Array>(
  make: new (length: number) => T,
  a: T,
  b: T,
): T {
  const result = new make(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}
