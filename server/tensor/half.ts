/**
 * Conversions between the element types of stored weights and float32.
 *
 * float16 is IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits); bfloat16 is the upper half of a binary32.
 * Widening is exact; narrowing rounds to nearest, ties to even, as torch and ONNX Runtime do.
 */
import { assert } from "../base/errors.ts";
import type { Tensor, TensorData } from "./tensor.ts";

/** Widens binary16 bit patterns, exactly, subnormals, infinities and NaN included. `[n] -> [n]` */
export function float16ToFloat32(
  bits: Uint16Array,
  out: Float32Array = new Float32Array(bits.length),
): Float32Array {
  const table = float16Values();
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]!]!;
  return out;
}

/** Widens bfloat16 bit patterns, exactly. `[n] -> [n]` */
export function bfloat16ToFloat32(
  bits: Uint16Array,
  out: Float32Array = new Float32Array(bits.length),
): Float32Array {
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return out;
}

/** Rounds to binary16; beyond ±65504 (by at least half a step) the result is infinite. `[n] -> [n]` */
export function float32ToFloat16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) out[i] = float16Bits(words[i]!);
  return out;
}

/** Rounds to bfloat16; every NaN stays a (quiet) NaN. `[n] -> [n]` */
export function float32ToBfloat16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    out[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

/**
 * The elements as float32, row by row: widened (f16, bf16, small integers), rounded (f64, large integers), 0 and 1
 * (bool). A float32 tensor's own array is returned, not a copy.
 */
export function toFloat32(t: Tensor): Float32Array {
  if (t.dtype === "float32") return t.data as Float32Array;
  return convertToFloat32(t.dtype, t.data, new Float32Array(t.data.length));
}

/** Writes elements of any type to `out` as float32. `[n] -> [n]` */
export function convertToFloat32(
  dtype: Tensor["dtype"],
  data: TensorData,
  out: Float32Array,
): Float32Array {
  assert(out.length === data.length, `${data.length} elements do not fit ${out.length}`);
  if (dtype === "float16") return float16ToFloat32(data as Uint16Array, out);
  if (dtype === "bfloat16") return bfloat16ToFloat32(data as Uint16Array, out);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) out[i] = Number(data[i]!);
  } else {
    out.set(data);
  }
  return out;
}

let table: Float32Array | undefined;

/** The value of every binary16 bit pattern: one look-up is several times faster than taking bits apart. `-> [65536]` */
export function float16Values(): Float32Array {
  if (table !== undefined) return table;
  table = new Float32Array(1 << 16);
  for (let bits = 0; bits < table.length; bits++) table[bits] = float16Value(bits);
  return table;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Binary32 bits to binary16 bits, round to nearest even. */
function float16Bits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 is halfway between the largest binary16 and the next step: it and all above round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // From 2^-14 on the result is normal: rebias the exponent by 112 and round off 13 bits; a carry enters the exponent.
  if (magnitude >= 0x38800000) {
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Up to half of the smallest subnormal 2^-24 rounds to zero (the tie too).
  if (magnitude <= 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  return sign | ((fraction + half - 1 + ((fraction >>> shift) & 1)) >>> shift);
}
