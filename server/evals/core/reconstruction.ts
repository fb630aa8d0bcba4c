/** What needs only activations: how near x̂ is to x, how many latents that takes, and how often each is active. */
import { assert } from "../../base/errors.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import type { OwnFigures, ReconstructionQuality, Shrinkage, Sparsity } from "./core-metrics.ts";

/** Some prompts with their reconstruction. */
export interface ReconstructionBatch {
  /** What is reconstructed. `[tokens, d_out]` */
  readonly x: Float32Array;
  /** `[tokens, d_out]` */
  readonly x_hat: Float32Array;
  /** Activations of all tokens. */
  readonly acts: SparseActs;
  /** First token of each prompt. */
  readonly starts: readonly number[];
  /** 0 for tokens that are left out of every figure. `[tokens]` */
  readonly kept: Uint8Array;
}

/** Figures of each latent. */
export interface LatentActivity {
  /** Share of tokens on which it is above 0. */
  readonly density: Float64Array;
  /** Tokens on which it is above 0 per prompt that has such a token; NaN where none has. */
  readonly perPrompt: Float64Array;
}

/** All figures of reconstruction. */
export interface ReconstructionFigures {
  readonly reconstruction_quality: ReconstructionQuality;
  readonly shrinkage: Shrinkage;
  readonly sparsity: Sparsity;
  readonly own: OwnFigures;
  readonly activity: LatentActivity;
  /** Tokens that were counted. */
  readonly tokens: number;
}

/** Below this, a vector's length counts as 1 where it is divided by. */
const tinyNorm = 1e-4;

/** Adds up batches; sums are float64. */
export class ReconstructionSums {
  readonly #d: number;
  readonly #activeTokens: Float64Array;
  readonly #activePrompts: Float64Array;
  readonly #sum: Float64Array;
  #tokens = 0;
  #batches = 0;
  /** Sums over tokens. */
  readonly #perToken = {
    normIn: 0,
    normOut: 0,
    ratio: 0,
    l0: 0,
    l1: 0,
    legacy: 0,
    mse: 0,
    cosine: 0,
    error: 0,
    squares: 0,
  };
  /** Sums over batches of the batch's mean. */
  readonly #perBatch = { bias: 0, squares: 0, error: 0, meanSquare: 0 };

  constructor(d: number, d_sae: number) {
    this.#d = d;
    this.#activeTokens = new Float64Array(d_sae);
    this.#activePrompts = new Float64Array(d_sae);
    this.#sum = new Float64Array(d);
  }

  /** Adds one batch. */
  add(batch: ReconstructionBatch): void {
    const rows = keptRows(batch.kept);
    if (rows.length === 0) return;
    assert(batch.x.length === batch.kept.length * this.#d, "rows of x that are not d wide");
    this.#addRows(batch, rows);
    this.#addActivity(batch);
    this.#tokens += rows.length;
    this.#batches++;
  }

  /** The figures of all batches. */
  finish(): ReconstructionFigures {
    const n = this.#tokens;
    const { normIn, normOut, ratio, l0, l1, legacy, mse, cosine, error, squares } = this.#perToken;
    const batchMean = (sum: number): number => sum / this.#batches;
    const R = batchMean(this.#perBatch.error);
    const V = batchMean(this.#perBatch.squares) - batchMean(this.#perBatch.meanSquare) ** 2;
    const meanNorm = this.#sum.reduce((sum, it) => sum + (it / n) ** 2, 0);
    const fvu = error / n / (squares / n - meanNorm);
    const alive = this.#activeTokens.reduce((count, it) => count + (it > 0 ? 1 : 0), 0);
    return {
      reconstruction_quality: {
        explained_variance: 1 - R / V,
        explained_variance_legacy: legacy / n,
        mse: mse / n,
        cossim: cosine / n,
      },
      shrinkage: {
        l2_norm_in: normIn / n,
        l2_norm_out: normOut / n,
        l2_ratio: ratio / n,
        relative_reconstruction_bias: batchMean(this.#perBatch.bias),
      },
      sparsity: { l0: l0 / n, l1: l1 / n },
      own: {
        explainedVariance: 1 - fvu,
        fvu,
        squaredError: error / n,
        dead: 1 - alive / this.#activeTokens.length,
      },
      activity: {
        density: this.#activeTokens.map((count) => count / n),
        perPrompt: this.#activeTokens.map((count, at) => count / this.#activePrompts[at]!),
      },
      tokens: n,
    };
  }

  #addRows({ x, x_hat, acts }: ReconstructionBatch, rows: readonly number[]): void {
    const d = this.#d;
    const nRows = rows.length;
    const mean = meanOf(x, rows, d);
    const sums = this.#perToken;
    const batch = { norms: 0, dot: 0, error: 0, squares: 0 };
    for (const row of rows) {
      const it = rowSums(x, x_hat, mean, row * d);
      const normIn = Math.sqrt(it.squares);
      const normOut = Math.sqrt(it.squaresHat);
      sums.normIn += normIn;
      sums.normOut += normOut;
      sums.ratio += normOut / (normIn < tinyNorm ? 1 : normIn);
      sums.legacy += 1 - it.error / it.variance;
      sums.mse += it.error / nRows;
      sums.cosine += it.dot / (normIn * normOut);
      sums.error += it.error;
      sums.squares += it.squares;
      batch.norms += it.squaresHat;
      batch.dot += it.dot;
      batch.error += it.error;
      batch.squares += it.squares;
      for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++) {
        sums.l1 += acts.acts[at]!;
        if (acts.acts[at] !== 0) sums.l0++;
      }
    }
    this.#perBatch.bias += batch.norms / batch.dot;
    this.#perBatch.error += batch.error / nRows;
    this.#perBatch.squares += batch.squares / nRows;
    this.#perBatch.meanSquare += batch.squares / nRows / d;
    mean.forEach((it, at) => (this.#sum[at]! += it * nRows));
  }

  #addActivity({ acts, starts, kept }: ReconstructionBatch): void {
    const lastPrompt = new Int32Array(this.#activeTokens.length).fill(-1);
    starts.forEach((start, prompt) => {
      const end = starts[prompt + 1] ?? kept.length;
      for (let row = start; row < end; row++) {
        if (!kept[row]) continue;
        for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++) {
          if (acts.acts[at]! <= 0) continue;
          const latent = acts.latents[at]!;
          this.#activeTokens[latent]!++;
          if (lastPrompt[latent] !== prompt) this.#activePrompts[latent]!++;
          lastPrompt[latent] = prompt;
        }
      }
    });
  }
}

function keptRows(kept: Uint8Array): number[] {
  const rows: number[] = [];
  kept.forEach((keep, row) => keep && rows.push(row));
  return rows;
}

function meanOf(x: Float32Array, rows: readonly number[], d: number): Float64Array {
  const mean = new Float64Array(d);
  for (const row of rows) for (let i = 0; i < d; i++) mean[i]! += x[row * d + i]!;
  return mean.map((sum) => sum / rows.length);
}

/** Sums over the d entries of one row. */
function rowSums(
  x: Float32Array,
  x_hat: Float32Array,
  mean: Float64Array,
  from: number,
): { squares: number; squaresHat: number; dot: number; error: number; variance: number } {
  const sums = { squares: 0, squaresHat: 0, dot: 0, error: 0, variance: 0 };
  for (let i = 0; i < mean.length; i++) {
    const a = x[from + i]!;
    const b = x_hat[from + i]!;
    sums.squares += a * a;
    sums.squaresHat += b * b;
    sums.dot += a * b;
    sums.error += (a - b) ** 2;
    sums.variance += (a - mean[i]!) ** 2;
  }
  return sums;
}
