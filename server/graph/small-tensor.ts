/**
 * Constants that ops need.
 */
import { type DType, type Tensor, tensor } from "../tensor/tensor.ts";

/** A rank-0 tensor. */
export function scalarTensor(value: number, dtype: DType = "float32"): Tensor {
  if (dtype === "float32") return tensor(dtype, [], Float32Array.of(value));
  if (dtype === "float64") return tensor(dtype, [], Float64Array.of(value));
  if (dtype === "int32") return tensor(dtype, [], Int32Array.of(value));
  if (dtype === "int64") return tensor(dtype, [], BigInt64Array.of(BigInt(value)));
  if (dtype === "bool") return tensor(dtype, [], Uint8Array.of(value));
  throw new Error(`bug: no scalar of type ${dtype}`);
}

/** A rank-1 int64 tensor, as ONNX wants its shapes, axes and sizes. */
export function int64Tensor(values: readonly number[]): Tensor<"int64"> {
  return tensor("int64", [values.length], BigInt64Array.from(values, BigInt));
}
