/**
 * Loops over float32 arrays that neither a graph nor plain JavaScript runs fast enough: products with sparse rows, and
 * Adam. Sums are taken in one fixed order, so results are the same on every machine, bit for bit.
 */

/**
 * Sparse rows: entries `[begin[r], end[r])` of `columns` and `values` belong to row r. Rows need not lie one after the
 * other, so a part of each row is again such a list.
 */
export interface SparseRows {
  readonly begin: Int32Array;
  readonly end: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** A parameter, its gradient and Adam's two averages; arrays of one length. */
export interface AdamArrays {
  readonly value: Float32Array;
  readonly grad: Float32Array;
  /** Average of the gradient. */
  readonly mean: Float32Array;
  /** Average of its square. */
  readonly square: Float32Array;
}

/** The numbers of one step of Adam. */
export interface AdamFactors {
  /** Multiplies the gradient first: what clipping leaves of it. */
  readonly gradScale: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Learning rate over the bias correction 1 − β₁^t. */
  readonly stepSize: number;
  /** √(1 − β₂^t) */
  readonly rootCorrection: number;
}

/** The loops. All arrays of a call belong to one arena. */
export interface Kernels {
  /** y += S·x: `[rows, columns] × [columns, width] -> [rows, width]` */
  addSparseTimesDense(y: Float32Array, s: SparseRows, x: Float32Array, width: number): void;
  /** Writes y·xᵀ at the places of `s` to its values: `[rows, width] × [width, columns]`, each a product of two rows. */
  denseTimesDenseAt(y: Float32Array, s: SparseRows, x: Float32Array, width: number): void;
  /** Σ a[aAt + i]·b[bAt + i] for i in [0, n) */
  dot(a: Float32Array, aAt: number, b: Float32Array, bAt: number, n: number): number;
  /**
   * One step of Adam in place: mean += (1 − β₁)(g − mean), square = β₂·square + (1 − β₂)g²,
   * value −= stepSize·mean / (√square / rootCorrection + eps). Kingma and Ba 2014, arXiv:1412.6980, as torch computes it.
   */
  adam(arrays: AdamArrays, factors: AdamFactors): void;
}

const round = Math.fround;

/** The loops in JavaScript: the same sums in the same order, several times slower. */
export const plainKernels: Kernels = {
  addSparseTimesDense(y, { begin, end, columns, values }, x, width) {
    for (let row = 0; row < begin.length; row++) {
      const to = row * width;
      for (let entry = begin[row]!; entry < end[row]!; entry++) {
        const from = columns[entry]! * width;
        const factor = values[entry]!;
        for (let i = 0; i < width; i++) y[to + i] = y[to + i]! + round(factor * x[from + i]!);
      }
    }
  },
  denseTimesDenseAt(y, { begin, end, columns, values }, x, width) {
    for (let row = 0; row < begin.length; row++)
      for (let entry = begin[row]!; entry < end[row]!; entry++)
        values[entry] = plainDot(y, row * width, x, columns[entry]! * width, width);
  },
  dot: plainDot,
  adam({ value, grad, mean, square }, { gradScale, beta1, beta2, eps, stepSize, rootCorrection }) {
    const [scale, b1, b2] = [round(gradScale), round(beta1), round(beta2)];
    const [rest2, step, root, small] = [1 - beta2, stepSize, rootCorrection, eps].map(round) as [
      number,
      number,
      number,
      number,
    ];
    for (let i = 0; i < value.length; i++) {
      const g = round(grad[i]! * scale);
      const m = round(g + round(round(mean[i]! - g) * b1));
      const v = round(round(square[i]! * b2) + round(round(g * g) * rest2));
      mean[i] = m;
      square[i] = v;
      const denominator = round(round(round(Math.sqrt(v)) / root) + small);
      value[i] = value[i]! - round(round(step * m) / denominator);
    }
  },
};

/** As the vectors of four have it: 16 partial sums, their sum in pairs, then the rest one by one. */
function plainDot(a: Float32Array, aAt: number, b: Float32Array, bAt: number, n: number): number {
  const sums = new Float32Array(16);
  const whole = n & -16;
  for (let i = 0; i < whole; i += 16)
    for (let lane = 0; lane < 16; lane++)
      sums[lane] = sums[lane]! + round(a[aAt + i + lane]! * b[bAt + i + lane]!);
  const lanes = [0, 1, 2, 3].map((lane) =>
    round(round(sums[lane]! + sums[lane + 4]!) + round(sums[lane + 8]! + sums[lane + 12]!)),
  ) as [number, number, number, number];
  let result = round(round(lanes[0] + lanes[1]) + round(lanes[2] + lanes[3]));
  for (let i = whole; i < n; i++) result = round(result + round(a[aAt + i]! * b[bAt + i]!));
  return result;
}
