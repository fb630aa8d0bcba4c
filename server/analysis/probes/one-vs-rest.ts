/**
 * One-vs-rest linear probes by SAEBench's recipe: mean binary cross-entropy over rows and labels, a positive row of a label
 * weighing negatives/positives, Adam (L2 in the gradient), learning rate falling exponentially from epoch to epoch.
 * sae-bench@0.6.0 evals/absorption/probing.py and k_sparse_probing.py.
 */
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { Arena, arenaBytes } from "../../tensor/arena.ts";
import type { SparseRows } from "../../tensor/kernels.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { shuffled } from "../shuffled.ts";
import type { LinearProbe, RowLabels } from "./linear-probe.ts";
import { sigmoid } from "./scores.ts";

/** Rows to learn from: all their numbers, or only those that are not zero. */
export type ProbeRows =
  | { readonly kind: "dense"; readonly d: number; readonly x: Float32Array }
  | { readonly kind: "sparse"; readonly d: number; readonly acts: SparseActs };

export interface OneVsRestOptions {
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly lr?: number;
  readonly endLr?: number;
  /** L2, in the gradient. */
  readonly weightDecay?: number;
  /** Times the mean over labels of Σ|w|. */
  readonly l1?: number;
  readonly seed?: number;
  /** Instead of torch's `Linear` initialisation, U(−1/√d, 1/√d). */
  readonly start?: LinearProbe;
  readonly signal?: AbortSignal | undefined;
  /** Called after every epoch; whatever it awaits gets its turn. */
  readonly onEpoch?: (epoch: number, epochs: number) => Promise<void> | void;
}

/**
 * The recipe's numbers for the probe of ground truth. SAEBench's function has 4096 as its batch, but its one caller
 * (`train_and_save_probes`) passes 64; with 4096 the mean F1 on SmolLM2 is 0.53, with 64 0.67.
 */
export const groundTruthRecipe = {
  epochs: 50,
  batchSize: 64,
  lr: 0.01,
  endLr: 1e-5,
  weightDecay: 1e-4,
  l1: 0,
} as const;

/** The recipe's numbers for the probe on latents that selects by its weights. */
export const selectionRecipe = {
  ...groundTruthRecipe,
  batchSize: 4096,
  weightDecay: 1e-6,
  l1: 0.01,
} as const;

/** Trains all labels at once. `[rows, d], [rows, labels] -> [labels, d]` */
export async function trainOneVsRest(
  rows: ProbeRows,
  labels: RowLabels,
  options: OneVsRestOptions = {},
): Promise<LinearProbe> {
  const { epochs, lr, endLr, batchSize } = { ...groundTruthRecipe, ...options };
  const trainer = new Trainer(rows, labels, options);
  const random = new SeededRandom(options.seed ?? 0, 17);
  const fall = (endLr / lr) ** (1 / epochs);
  let rate = lr;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffled(labels.nRows, labels.nRows > batchSize ? random : undefined);
    for (let from = 0; from < order.length; from += batchSize) {
      options.signal?.throwIfAborted();
      trainer.step(order.subarray(from, from + batchSize), rate);
    }
    rate *= fall;
    await options.onEpoch?.(epoch + 1, epochs);
  }
  return trainer.probe();
}

const [beta1, beta2, eps] = [0.9, 0.999, 1e-8];

/** A parameter with its gradient and Adam's averages. */
interface Learned {
  readonly value: Float32Array;
  readonly grad: Float32Array;
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

/** Products of rows with weights, and back; dense rows keep `[labels, d]`, sparse ones `[d, labels]`. */
interface Products {
  readonly arena: Arena;
  readonly weights: Learned;
  readonly biases: Learned;
  /** Writes logits without biases of a batch, row by row. */
  logits(rows: Int32Array): Float32Array;
  /** Adds the weights' gradient from that of the logits of the same batch. */
  back(rows: Int32Array, dLogits: Float32Array): void;
}

class Trainer {
  readonly #labels: RowLabels;
  readonly #rows: ProbeRows;
  readonly #products: Products;
  /** Weight of a row that has the label, by label. */
  readonly #positive: Float64Array;
  readonly #decay: number;
  readonly #l1: number;
  #steps = 0;

  constructor(rows: ProbeRows, labels: RowLabels, options: OneVsRestOptions) {
    const { batchSize, weightDecay, l1 } = { ...groundTruthRecipe, ...options };
    this.#rows = rows;
    this.#labels = labels;
    this.#decay = weightDecay;
    this.#l1 = l1 / labels.nLabels;
    const batch = Math.min(batchSize, labels.nRows);
    this.#products =
      rows.kind === "dense"
        ? denseProducts(rows, labels.nLabels, batch)
        : sparseProducts(rows, labels.nLabels, batch);
    this.#positive = positiveWeights(labels);
    this.#initialize(options);
  }

  step(batch: Int32Array, lr: number): void {
    const { weights, biases, arena } = this.#products;
    const { nLabels, values } = this.#labels;
    const logits = this.#products.logits(batch);
    biases.grad.fill(0);
    const share = 1 / (batch.length * nLabels);
    for (let at = 0; at < batch.length; at++)
      for (let label = 0; label < nLabels; label++) {
        const i = at * nLabels + label;
        const p = sigmoid(logits[i]! + biases.value[label]!);
        const has = values[batch[at]! * nLabels + label] === 1;
        const slope = has ? this.#positive[label]! * (p - 1) : p;
        logits[i] = slope * share;
        biases.grad[label]! += slope * share;
      }
    weights.grad.fill(0);
    this.#products.back(batch, logits);
    this.#penalize(weights, this.#l1);
    this.#penalize(biases, 0);
    this.#steps++;
    const factors = {
      gradScale: 1,
      beta1,
      beta2,
      eps,
      stepSize: lr / (1 - beta1 ** this.#steps),
      rootCorrection: Math.sqrt(1 - beta2 ** this.#steps),
    };
    arena.kernels.adam(weights, factors);
    arena.kernels.adam(biases, factors);
  }

  probe(): LinearProbe {
    const { nLabels } = this.#labels;
    const { d } = this.#rows;
    const { weights, biases } = this.#products;
    return { nLabels, d, weights: this.#turned(weights.value), biases: biases.value.slice() };
  }

  #penalize({ value, grad }: Learned, l1: number): void {
    const decay = this.#decay;
    for (let i = 0; i < value.length; i++)
      grad[i]! += decay * value[i]! + (l1 === 0 ? 0 : l1 * Math.sign(value[i]!));
  }

  #initialize({ start, seed = 0 }: OneVsRestOptions): void {
    const { weights, biases } = this.#products;
    const { d } = this.#rows;
    const random = new SeededRandom(seed, 5);
    const draw = (): number => (2 * random.uniform() - 1) / Math.sqrt(d);
    const first = start?.weights ?? Float32Array.from({ length: weights.value.length }, draw);
    weights.value.set(this.#turned(first, true));
    biases.value.set(start?.biases ?? Float32Array.from({ length: biases.value.length }, draw));
  }

  /** Between `[labels, d]` and the order that the products keep. */
  #turned(values: Float32Array, inward = false): Float32Array {
    if (this.#rows.kind === "dense") return values.slice();
    const [rows, columns] = inward
      ? [this.#labels.nLabels, this.#rows.d]
      : [this.#rows.d, this.#labels.nLabels];
    const turned = new Float32Array(values.length);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        turned[column * rows + row] = values[row * columns + column]!;
    return turned;
  }
}

/** Rows without the label over rows with it; 1 where one of them is missing, which torch would divide by. */
function positiveWeights({ nRows, nLabels, values }: RowLabels): Float64Array {
  const counts = new Float64Array(nLabels);
  for (let i = 0; i < values.length; i++) counts[i % nLabels]! += values[i]!;
  return counts.map((count) => (count === 0 || count === nRows ? 1 : (nRows - count) / count));
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
