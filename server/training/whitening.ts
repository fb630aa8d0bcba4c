/** Whitening of activations: statistics, use, and folding into an SAE. arXiv:2511.13981; SAELens activation_scaler.py. */
import { Graph } from "../graph/graph.ts";
import { cast, gemm, matmul, reduceSum, sub as subtract } from "../graph/ops/index.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { symmetricEigen } from "./symmetric-eigen.ts";

/** x becomes (x − mean)·matrix; z comes back as z·inverse + mean. In double precision. */
export interface Whitening {
  /** `[d_in]` */
  readonly mean: Float64Array;
  /** `[d_in, d_in]` */
  readonly matrix: Float64Array;
  /** `[d_in, d_in]` */
  readonly inverse: Float64Array;
}

/** The sums of a batch, in double precision: x `[batch, d] -> sum [d], products [d, d]` */
export function covarianceGraph(d: number): Graph {
  const graph = new Graph("covariance");
  const x = cast(graph.input("x", "float32", ["batch", d]), "float64");
  graph.output("sum", reduceSum(x, [0]));
  graph.output("products", gemm(x, x, undefined, { transA: true }));
  return graph;
}

/** Sums over rows from which the whitening follows. */
export class Covariance {
  readonly #d: number;
  readonly #sum: Float64Array;
  readonly #products: Float64Array;
  #count = 0;

  constructor(d: number) {
    this.#d = d;
    this.#sum = new Float64Array(d);
    this.#products = new Float64Array(d * d);
  }

  /** Adds what `covarianceGraph` gave for a batch of n rows. */
  add(n: number, { sum, products }: Readonly<Record<string, Tensor>>): void {
    this.#count += n;
    accumulate(this.#sum, sum!.data as Float64Array);
    accumulate(this.#products, products!.data as Float64Array);
  }

  /** M = E·(λ + eps)^(−1/2) from the covariance E·diag(λ)·Eᵀ (over n − 1), and its inverse (λ + eps)^(1/2)·Eᵀ. */
  whitening(eps: number): Whitening {
    const d = this.#d;
    const n = this.#count;
    const mean = this.#sum.map((sum) => sum / n);
    const covariance = new Float64Array(d * d);
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++)
        covariance[i * d + j] = (this.#products[i * d + j]! - n * mean[i]! * mean[j]!) / (n - 1);
    const { values, vectors } = symmetricEigen(covariance, d);
    const roots = values.map((value) => Math.sqrt(Math.max(value, 0) + eps));
    const matrix = new Float64Array(d * d);
    const inverse = new Float64Array(d * d);
    for (let e = 0; e < d; e++)
      for (let i = 0; i < d; i++) {
        matrix[i * d + e] = vectors[e * d + i]! / roots[e]!;
        inverse[e * d + i] = vectors[e * d + i]! * roots[e]!;
      }
    return { mean, matrix, inverse };
  }
}

/** The graph of (x − mean)·matrix, in single precision as SAELens applies it: x `[batch, d] -> z [batch, d]`. */
export function whiteningGraph({ mean, matrix }: Whitening): Graph {
  const d = mean.length;
  const graph = new Graph("whitening");
  const x = graph.input("x", "float32", ["batch", d]);
  const centre = graph.weight("mean", tensor("float32", [d], Float32Array.from(mean)));
  const m = graph.weight("matrix", tensor("float32", [d, d], Float32Array.from(matrix)));
  graph.output("z", matmul(subtract(x, centre), m));
  return graph;
}

/**
 * Parameters (outer orientation) of the SAE that does on raw activations what the given one does on whitened ones:
 * W_enc := M·W_enc; W_dec := W_dec·M⁻¹; b_dec := b_dec·M⁻¹ + mean; without b_dec at the input, mean·W_enc is taken
 * from every bias of the encoder (from b_mag times e^r_mag).
 */
export function foldWhitening(
  parameters: ReadonlyMap<string, Tensor<"float32">>,
  { mean, matrix, inverse }: Whitening,
  applyBDecToInput: boolean,
): Map<string, Tensor<"float32">> {
  const d = mean.length;
  const get = (name: string) => parameters.get(name)!;
  const W_enc = product(matrix, Float64Array.from(get("W_enc").data), d);
  const b_dec = product(Float64Array.from(get("b_dec").data), inverse, d).map(
    (b, i) => b + mean[i]!,
  );
  const folded = new Map(parameters);
  const put = (name: string, values: Float64Array) =>
    folded.set(name, tensor("float32", get(name).dims, Float32Array.from(values)));
  put("W_enc", W_enc);
  put("W_dec", product(Float64Array.from(get("W_dec").data), inverse, d));
  put("b_dec", b_dec);
  if (applyBDecToInput) return folded;
  // SAELens takes the shift from the folded matrix in single precision.
  const shift = product(mean, Float64Array.from(W_enc, Math.fround), d);
  const r_mag = parameters.get("r_mag")?.data;
  for (const name of ["b_enc", "b_gate", "b_mag"]) {
    const bias = parameters.get(name)?.data;
    if (bias === undefined) continue;
    const scale = (i: number) => (name === "b_mag" && r_mag ? Math.exp(r_mag[i]!) : 1);
    put(
      name,
      shift.map((value, i) => bias[i]! - value * scale(i)),
    );
  }
  return folded;
}

/** `[n, inner] × [inner, m] -> [n, m]` */
function product(a: Float64Array, b: Float64Array, inner: number): Float64Array {
  const n = a.length / inner;
  const m = b.length / inner;
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < inner; k++) {
      const factor = a[i * inner + k]!;
      for (let j = 0; j < m; j++) out[i * m + j]! += factor * b[k * m + j]!;
    }
  return out;
}

function accumulate(sums: Float64Array, values: Float64Array): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += values[i]!;
}
