/**
 * One-vs-rest linear probes by SAEBench's recipe: mean binary cross-entropy over rows and labels, a positive row of a label
 * weighing negatives/positives, Adam (L2 in the gradient), learning rate falling exponentially from epoch to epoch.
 * sae-bench@0.6.0 evals/absorption/probing.py and k_sparse_probing.py.
 */
import { SeededRandom } from "../../base/seeded-random.ts";
import { shuffled } from "../shuffled.ts";
import type { LinearProbe, RowLabels } from "./linear-probe.ts";
import { type Learned, openProducts, type ProbeRows, type Products } from "./products.ts";
import { sigmoid } from "./scores.ts";

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
    this.#products = openProducts(rows, labels.nLabels, batch);
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
    return {
      kind: "one-vs-rest",
      nLabels,
      d,
      weights: this.#turned(weights.value),
      biases: biases.value.slice(),
    };
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
