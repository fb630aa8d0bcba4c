/** Little-endian bytes to tensors and back. */
import { assert } from "../base/errors.ts";
import { bytesPerElement, tensor } from "../tensor/tensor.ts";
import type { DataOf, DType, Tensor } from "../tensor/tensor.ts";

const arrays: {
  [D in DType]: new (buffer: ArrayBuffer, offset: number, length: number) => DataOf[D];
} = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

assert(
  new Uint8Array(Uint16Array.of(1).buffer)[0] === 1,
  "weight files are little-endian, and so must the machine be",
);

/** The elements that lie in `bytes`: a view where their alignment allows, else a copy. */
export function elementsOf<D extends DType>(dtype: D, bytes: Uint8Array): DataOf[D] {
  const width = bytesPerElement[dtype];
  assert(bytes.length % width === 0, `${bytes.length} bytes are no whole number of ${dtype}`);
  const aligned = isAligned(dtype, bytes) ? bytes : new Uint8Array(bytes);
  return new arrays[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.length / width);
}

/** A tensor of the elements that lie in `bytes`. */
export function tensorFromBytes<D extends DType>(
  dtype: D,
  dims: readonly number[],
  bytes: Uint8Array,
): Tensor<D> {
  return tensor(dtype, dims, elementsOf(dtype, bytes));
}

/** A tensor read from a file of several. */
export interface FileTensor extends Tensor {
  /**
   * Where the file has these elements as they are, row by row and not compressed, in bytes from its start; absent if
   * it has not. So large tensors can be read by offset instead of being kept.
   */
  readonly at?: number;
}

/** Offset of `part` in `file` if it is a view of it. */
export function offsetIn(file: Uint8Array, part: Uint8Array): number | undefined {
  return part.buffer === file.buffer ? part.byteOffset - file.byteOffset : undefined;
}

/** True if elements of this width can be a view of the bytes; else `elementsOf` copies them. */
export function isAligned(dtype: DType, bytes: Uint8Array): boolean {
  return bytes.byteOffset % bytesPerElement[dtype] === 0;
}

/** The tensor's elements as bytes, without copying. */
export function bytesOfTensor(t: Tensor): Uint8Array {
  return new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
}

/**
 * The number of elements of a shape that stands in a file, or undefined unless it is a list of at most 64 whole
 * numbers ≥ 0 whose product (zeros taken as ones) leaves room for byte counts in exact integers.
 */
export function checkDims(dims: unknown): number | undefined {
  if (!Array.isArray(dims) || dims.length > 64) return undefined;
  let size = 1;
  let bound = 1;
  for (const dim of dims as unknown[]) {
    if (typeof dim !== "number" || !Number.isSafeInteger(dim) || dim < 0) return undefined;
    size *= dim;
    bound *= Math.max(dim, 1);
    if (bound > 2 ** 49) return undefined;
  }
  return size;
}
