/** An SAE's formulas in plain loops over nested arrays, for layouts that no library's golden covers. */
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { filled } from "./made-saes.ts";

/** Rows of numbers. */
export type Matrix = number[][];

/** Sizes of the made SAE. */
export const [d_in, d_sae, nRows]: readonly [number, number, number] = [6, 12, 5];

/** Weights of the made SAE in our orientation. */
export const weights = {
  W_enc: filled([d_in, d_sae], 1.1),
  b_enc: filled([d_sae], 1.3),
  W_dec: filled([d_sae, d_in], 1.7),
  b_dec: filled([d_in], 1.9),
};

/** Its input. `[nRows, d_in]` */
export const x: Tensor<"float32"> = filled([nRows, d_in], 2.3);

/** `[n, m]` as nested arrays. */
export function matrix({ dims, data }: Tensor<"float32">): Matrix {
  return Array.from({ length: dims[0]! }, (_, row) => [
    ...data.subarray(row * dims[1]!, (row + 1) * dims[1]!),
  ]);
}

/** Nested arrays as a tensor. */
export function asTensor(a: Matrix): Tensor<"float32"> {
  return tensor("float32", [a.length, a[0]!.length], Float32Array.from(a.flat()));
}

/** a·b */
export function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) =>
    b[0]!.map((_, column) => row.reduce((sum, v, at) => sum + v * b[at]![column]!, 0)),
  );
}

/** aᵀ */
export function turned(a: Matrix): Matrix {
  return a[0]!.map((_, column) => a.map((row) => row[column]!));
}

/** a + b for every row of a. */
export function plus(a: Matrix, b: readonly number[]): Matrix {
  return a.map((row) => row.map((v, at) => v + b[at]!));
}

/** a + b */
export function sum(a: Matrix, b: Matrix): Matrix {
  return a.map((row, at) => row.map((v, d) => v + b[at]![d]!));
}

/** Every element changed; `at` is its column. */
export function each(a: Matrix, f: (v: number, at: number) => number): Matrix {
  return a.map((row) => row.map(f));
}

/** The k largest of each row, negative ones as 0. */
export function topk(a: Matrix, k: number): Matrix {
  return a.map((row) => {
    const last = [...row].sort((p, q) => q - p)[k - 1]!;
    return row.map((v) => (v >= last ? Math.max(v, 0) : 0));
  });
}

/** W_enc and W_dec as nested arrays, biases as arrays. */
export const W_enc: Matrix = matrix(weights.W_enc);
export const W_dec: Matrix = matrix(weights.W_dec);
export const b_enc: number[] = [...weights.b_enc.data];
export const b_dec: number[] = [...weights.b_dec.data];

/** x·W_enc + b_enc of an input. */
export function preActsOf(input: Matrix): Matrix {
  return plus(product(input, W_enc), b_enc);
}

/** acts·W_dec + b_dec. */
export function decoded(acts: Matrix): Matrix {
  return plus(product(acts, W_dec), b_dec);
}

/** relu(x·W_enc + b_enc) and its reconstruction. */
export function plain(input: Matrix): { acts: Matrix; x_hat: Matrix } {
  const acts = each(preActsOf(input), (v) => Math.max(v, 0));
  return { acts, x_hat: decoded(acts) };
}

/** The negative of a vector. */
export function negative(values: readonly number[]): number[] {
  return values.map((v) => -v);
}
