/**
 * Our tensors as ONNX Runtime's and back, without copying elements.
 */
import * as ort from "onnxruntime-node";
import { assert } from "../base/errors.ts";
import { bytesPerElement, type DType, type Tensor, type TensorData } from "../tensor/tensor.ts";

/**
 * The tensor as a feed: it shares the elements, but for those in memory that threads share, which ONNX Runtime's Node
 * binding refuses. It has no bfloat16.
 */
export function toOrt({ dtype, dims, data: given }: Tensor): ort.Tensor {
  const isShared = (given.buffer as ArrayBufferLike) instanceof SharedArrayBuffer;
  const data = isShared ? given.slice() : given;
  // A newer Node has Float16Array, and the binding then insists on it; the bits are the same.
  const Float16 = (globalThis as { Float16Array?: new (...a: unknown[]) => TensorData })
    .Float16Array;
  const elements =
    dtype === "float16" && Float16 ? new Float16(data.buffer, data.byteOffset, data.length) : data;
  return new ort.Tensor(dtype as "float32", elements as Float32Array, dims as number[]);
}

/** A fetched tensor, sharing its elements. */
export function fromOrt(value: ort.Tensor): Tensor {
  const dtype = value.type as DType;
  assert(dtype in bytesPerElement, `a run returned elements of type ${value.type}`);
  let data = value.data as TensorData;
  if (dtype === "float16" && !(data instanceof Uint16Array)) {
    const view = data as ArrayBufferView;
    data = new Uint16Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength / 2);
  }
  return { dtype, dims: value.dims, data } as Tensor;
}
