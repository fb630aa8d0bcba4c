/** Products of rows with the weights of a linear probe, and back to the weights' gradient; on WebAssembly's memory. */
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { Arena, arenaBytes } from "../../tensor/arena.ts";
import type { SparseRows } from "../../tensor/kernels.ts";

/** Rows to learn from: all their numbers, or only those that are not zero. */
export type ProbeRows =
  | { readonly kind: "dense"; readonly d: number; readonly x: Float32Array }
  | { readonly kind: "sparse"; readonly d: number; readonly acts: SparseActs };

/** A parameter with its gradient and Adam's averages. */
export interface Learned {
  readonly value: Float32Array;
  readonly grad: Float32Array;
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

/** Products of rows with weights, and back; dense rows keep `[labels, d]`, sparse ones `[d, labels]`. */
export interface Products {
  readonly arena: Arena;
  readonly weights: Learned;
  readonly biases: Learned;
  /** Writes logits without biases of a batch, row by row. */
  logits(rows: Int32Array): Float32Array;
  /** Adds the weights' gradient from that of the logits of the same batch. */
  back(rows: Int32Array, dLogits: Float32Array): void;
}

/** Products of batches of at most `batchSize` rows with weights of `nLabels` labels. */
export function openProducts(rows: ProbeRows, nLabels: number, batchSize: number): Products {
  return rows.kind === "dense"
    ? denseProducts(rows, nLabels, batchSize)
    : sparseProducts(rows, nLabels, batchSize);
}

function learned(arena: Arena, length: number): Learned {
  const [value, grad] = [arena.float32(length), arena.float32(length)];
  return { value, grad, mean: arena.float32(length), square: arena.float32(length) };
}

/** Bytes of a parameter with its gradient and averages. */
function learnedBytes(length: number): number {
  return 4 * arenaBytes(length);
}

/** The same columns 0 … columns − 1 in every row. */
function fullPattern(arena: Arena, rows: number, columns: number): SparseRows {
  const pattern = {
    begin: arena.int32(rows),
    end: arena.int32(rows),
    columns: arena.int32(rows * columns),
    values: arena.float32(rows * columns),
  };
  for (let row = 0; row < rows; row++) {
    pattern.begin[row] = row * columns;
    pattern.end[row] = (row + 1) * columns;
    for (let column = 0; column < columns; column++)
      pattern.columns[row * columns + column] = column;
  }
  return pattern;
}

function patternBytes(rows: number, entries: number): number {
  return 2 * arenaBytes(rows) + 2 * arenaBytes(entries);
}

function denseProducts(
  { d, x }: ProbeRows & { kind: "dense" },
  nLabels: number,
  batchSize: number,
): Products {
  const arena = new Arena(
    learnedBytes(nLabels * d) +
      learnedBytes(nLabels) +
      arenaBytes(batchSize * d) +
      2 * patternBytes(batchSize + nLabels, batchSize * nLabels),
  );
  const weights = learned(arena, nLabels * d);
  const biases = learned(arena, nLabels);
  const batch = arena.float32(batchSize * d);
  const forward = fullPattern(arena, batchSize, nLabels);
  const turned = fullPattern(arena, nLabels, batchSize);
  const { kernels } = arena;
  return {
    arena,
    weights,
    biases,
    logits(rows) {
      for (const [at, row] of rows.entries()) batch.set(x.subarray(row * d, (row + 1) * d), at * d);
      kernels.denseTimesDenseAt(batch, firstRows(forward, rows.length), weights.value, d);
      return forward.values.subarray(0, rows.length * nLabels);
    },
    back(rows, dLogits) {
      for (let label = 0; label < nLabels; label++) {
        turned.end[label] = turned.begin[label]! + rows.length;
        for (let at = 0; at < rows.length; at++)
          turned.values[turned.begin[label]! + at] = dLogits[at * nLabels + label]!;
      }
      kernels.addSparseTimesDense(weights.grad, turned, batch, d);
    },
  };
}

function firstRows(pattern: SparseRows, n: number): SparseRows {
  return { ...pattern, begin: pattern.begin.subarray(0, n), end: pattern.end.subarray(0, n) };
}

function sparseProducts(
  { d, acts }: ProbeRows & { kind: "sparse" },
  nLabels: number,
  batchSize: number,
): Products {
  const entries = acts.latents.length;
  const arena = new Arena(
    learnedBytes(nLabels * d) +
      learnedBytes(nLabels) +
      arenaBytes(batchSize * nLabels) +
      patternBytes(batchSize, entries) +
      patternBytes(d, entries),
  );
  const weights = learned(arena, nLabels * d);
  const biases = learned(arena, nLabels);
  const logits = arena.float32(batchSize * nLabels);
  const forward = sparsePattern(arena, batchSize, entries);
  const turned = sparsePattern(arena, d, entries);
  forward.columns.set(acts.latents);
  forward.values.set(acts.acts);
  const { kernels } = arena;
  return {
    arena,
    weights,
    biases,
    logits(rows) {
      for (const [at, row] of rows.entries()) {
        forward.begin[at] = acts.offsets[row]!;
        forward.end[at] = acts.offsets[row + 1]!;
      }
      const out = logits.subarray(0, rows.length * nLabels);
      out.fill(0);
      kernels.addSparseTimesDense(out, firstRows(forward, rows.length), weights.value, nLabels);
      return out;
    },
    back(rows, dLogits) {
      turnRows(turned, acts, rows);
      kernels.addSparseTimesDense(weights.grad, turned, dLogits, nLabels);
    },
  };
}

function sparsePattern(arena: Arena, rows: number, entries: number): SparseRows {
  const [begin, end] = [arena.int32(rows), arena.int32(rows)];
  return { begin, end, columns: arena.int32(entries), values: arena.float32(entries) };
}

/** Entries of some rows by latent: row l of the result holds the batch's rows that latent l is active on. */
function turnRows(turned: SparseRows, acts: SparseActs, rows: Int32Array): void {
  const { begin, end, columns, values } = turned;
  end.fill(0);
  for (const row of rows)
    for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++) end[acts.latents[at]!]!++;
  let sum = 0;
  for (let latent = 0; latent < begin.length; latent++) {
    begin[latent] = sum;
    sum += end[latent]!;
    end[latent] = begin[latent]!;
  }
  for (const [place, row] of rows.entries())
    for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++) {
      const to = end[acts.latents[at]!]!++;
      columns[to] = place;
      values[to] = acts.acts[at]!;
    }
}
