/** Activations in 16 bits with one scale for all of them, and back. */
import { unreachable } from "../base/errors.ts";
import { float32ToBfloat16, float32ToFloat16 } from "../tensor/half.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { ShardDType } from "./activation-shards.ts";

/** The largest power of two in the range of f16 that leaves room for rounding: 2^15 of 65504. */
const largestExponent = 15;

/**
 * Stores activations as f32, f16 or bf16: activation ≈ stored · scale. `[rows, d] -> [rows, d]`
 *
 * The scale of f16 is the power of two that brings the largest |activation| to at most 2^15: multiplying by it is exact, so
 * the only error is f16's rounding (relative 2^-11), outliers of the residual stream do not overflow, and entries down to
 * 2^-29 of the largest keep all bits. bf16 has f32's range and f32 needs none: their scale is 1.
 */
export function toStored(
  activations: Float32Array,
  dims: readonly number[],
  dtype: ShardDType,
): { stored: Tensor; scale: number } {
  switch (dtype) {
    case "float32":
      return { stored: tensor("float32", dims, activations), scale: 1 };
    case "bfloat16":
      return { stored: tensor("bfloat16", dims, float32ToBfloat16(activations)), scale: 1 };
    case "float16": {
      const scale = scaleOf(activations);
      const scaled = scale === 1 ? activations : activations.map((x) => x / scale);
      return { stored: tensor("float16", dims, float32ToFloat16(scaled)), scale };
    }
    default:
      return unreachable(dtype);
  }
}

function scaleOf(activations: Float32Array): number {
  let largest = 0;
  for (const x of activations) if (Math.abs(x) > largest) largest = Math.abs(x);
  if (largest === 0 || !Number.isFinite(largest)) return 1;
  return 2 ** (Math.ceil(Math.log2(largest)) - largestExponent);
}
