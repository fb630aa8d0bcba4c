/** The two kinds of numbers that blocks compute in. */
import { type Tensor, tensor } from "../tensor/tensor.ts";

/** Numbers that a block is computed in. */
export type Precision = "float32" | "float64";

/** Numbers of either precision. */
export type Floats = Float32Array | Float64Array;

/** The typed array of each precision. */
export const floatsOf = { float32: Float32Array, float64: Float64Array } as const;

/** A tensor over rows that live elsewhere. */
export function rowsTensor(data: Float32Array, dims: readonly number[]): Tensor<"float32">;
export function rowsTensor(data: Floats, dims: readonly number[]): Tensor;
export function rowsTensor(data: Floats, dims: readonly number[]): Tensor {
  return data instanceof Float32Array
    ? tensor("float32", dims, data as Float32Array<ArrayBuffer>)
    : tensor("float64", dims, data as Float64Array<ArrayBuffer>);
}
