/**
 * The tensor room: dtype, shape and data, f16 and bf16, and the hot loops over typed arrays.
 * It touches no disk, clock, randomness or device.
 */
import { assert } from "../base/errors.ts";

/** Element types that a tensor in memory can have. f16 and bf16 are kept as their 16 bits. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool";

/** The typed array that holds each element type. */
export interface DataOf {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/** Any typed array that can hold tensor elements. */
export type TensorData = DataOf[DType];

/** A dense row-major tensor in memory. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly dims: readonly number[];
  readonly data: DataOf[D];
}

/** Quantised block layouts of GGUF files (ggml's names). */
export type BlockType = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0" | "Q4_K" | "Q5_K" | "Q6_K";

/**
 * A tensor that lies in a file: what a graph's initialiser can point at without the bytes ever
 * passing through JavaScript. `dims` are in row-major order, outermost first, whatever the file's own order.
 */
export interface StoredTensor {
  /** Absolute path with symbolic links resolved. */
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly dtype: DType | BlockType;
  readonly dims: readonly number[];
}

/** Bytes of one element. */
export const bytesPerElement: Record<DType, number> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
};

/** Number of elements of a shape; 1 for a scalar's empty shape. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Wraps data in a tensor after checking that the shape fits it. */
export function tensor<D extends DType>(
  dtype: D,
  dims: readonly number[],
  data: DataOf[D],
): Tensor<D> {
  assert(
    data.length === sizeOf(dims),
    `shape [${dims.join(", ")}] needs ${sizeOf(dims)} elements, found ${data.length}`,
  );
  return { dtype, dims, data };
}
