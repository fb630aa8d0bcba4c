/**
 * Dequantisation of GGUF's block layouts (ggml's ggml-common.h and the reference loops of ggml-quants.c), exactly:
 * float32 scales come from float16, so every product here has at most 23 significant bits and every sum at most 50. All
 * of it is exact in JavaScript's doubles, and storing to a Float32Array rounds once, as ggml's float32 arithmetic does.
 */
import { assert } from "../base/errors.ts";
import { float16Values } from "../tensor/half.ts";
import type { BlockType } from "../tensor/tensor.ts";

/** Elements and bytes of one block. Rows hold whole blocks. */
export interface BlockLayout {
  readonly elements: number;
  readonly bytes: number;
}

/** Block sizes by type. */
export const blockLayouts: Readonly<Record<BlockType, BlockLayout>> = {
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
};

/** True if the element type is a block layout. */
export function isBlockType(dtype: string): dtype is BlockType {
  return Object.hasOwn(blockLayouts, dtype);
}

/** Writes the elements of whole blocks to `out` as float32. `[n / elements, bytes] -> [n]` */
export function dequantize(type: BlockType, bytes: Uint8Array, out: Float32Array): void {
  const layout = blockLayouts[type];
  const blocks = bytes.length / layout.bytes;
  assert(
    Number.isInteger(blocks) && out.length === blocks * layout.elements,
    `${bytes.length} bytes of ${type} do not fit ${out.length} elements`,
  );
  loops[type](bytes, out, float16Values());
}

/** `half` maps binary16 bits to their value. */
type Loop = (bytes: Uint8Array, out: Float32Array, half: Float32Array) => void;

const loops: Readonly<Record<BlockType, Loop>> = {
  Q4_0: dequantizeQ4_0,
  Q4_1: dequantizeQ4_1,
  Q5_0: dequantizeQ5_0,
  Q5_1: dequantizeQ5_1,
  Q8_0: dequantizeQ8_0,
  Q4_K: dequantizeQ4_K,
  Q5_K: dequantizeQ5_K,
  Q6_K: dequantizeQ6_K,
};

/** d: f16, 16 bytes of two 4-bit numbers (low nibbles first); value d·(q − 8). */
function dequantizeQ4_0(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 18, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 2 + j]!;
      out[to + j] = d * ((pair & 15) - 8);
      out[to + j + 16] = d * ((pair >> 4) - 8);
    }
  }
}

/** d, m: f16, 16 bytes of two 4-bit numbers; value d·q + m. */
function dequantizeQ4_1(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 20, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const m = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 4 + j]!;
      out[to + j] = d * (pair & 15) + m;
      out[to + j + 16] = d * (pair >> 4) + m;
    }
  }
}

/** d: f16, 32 fifth bits, 16 bytes of two 4-bit numbers; value d·(q − 16). */
function dequantizeQ5_0(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 22, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const high = word(bytes, at + 2);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 6 + j]!;
      out[to + j] = d * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[to + j + 16] = d * (((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** d, m: f16, 32 fifth bits, 16 bytes of two 4-bit numbers; value d·q + m. */
function dequantizeQ5_1(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 24, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const m = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    const high = word(bytes, at + 4);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 8 + j]!;
      out[to + j] = d * ((pair & 15) | (((high >>> j) & 1) << 4)) + m;
      out[to + j + 16] = d * ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** d: f16, 32 signed bytes; value d·q. */
function dequantizeQ8_0(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0, to = 0; at < bytes.length; at += 34, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let j = 0; j < 32; j++) out[to + j] = d * signed[at + 2 + j]!;
  }
}

/** d, dmin: f16, eight 6-bit scales and mins in 12 bytes, 128 bytes of two 4-bit numbers; value (d·scale)·q − dmin·min. */
function dequantizeQ4_K(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 144, to += 256) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const dmin = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOf(bytes, at + 4, group);
      const min = dmin * minOf(bytes, at + 4, group);
      // Two groups share 32 bytes: the even one has the low nibbles.
      const from = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) {
        out[to + group * 32 + j] = scale * ((bytes[from + j]! >> shift) & 15) - min;
      }
    }
  }
}

/** As Q4_K, with 256 fifth bits in 32 bytes before the nibbles: bit g of byte j is element j of group g. */
function dequantizeQ5_K(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 176, to += 256) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const dmin = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOf(bytes, at + 4, group);
      const min = dmin * minOf(bytes, at + 4, group);
      const from = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) {
        const high = ((bytes[at + 16 + j]! >> group) & 1) << 4;
        out[to + group * 32 + j] = scale * (((bytes[from + j]! >> shift) & 15) | high) - min;
      }
    }
  }
}

/** 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, d: f16; value (d·scale)·(q − 32). */
function dequantizeQ6_K(bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0, to = 0; at < bytes.length; at += 210, to += 256) {
    const d = half[bytes[at + 208]! | (bytes[at + 209]! << 8)]!;
    for (let group = 0; group < 8; group++) {
      // Each half of 128 elements is four groups of 32: nibbles low, low, high, high of 64 bytes; pairs of 32 bytes.
      const upper = group >> 2;
      const quarter = group & 3;
      const low = at + upper * 64 + (quarter & 1) * 32;
      const pairs = at + 128 + upper * 32;
      const shift = (quarter >> 1) * 4;
      for (let j = 0; j < 32; j++) {
        const scale = d * signed[at + 192 + group * 2 + (j >> 4)]!;
        const q =
          ((bytes[low + j]! >> shift) & 15) | (((bytes[pairs + j]! >> (quarter * 2)) & 3) << 4);
        out[to + group * 32 + j] = scale * (q - 32);
      }
    }
  }
}

/** The 6-bit scale of a group (get_scale_min_k4): four in the low bits, four split over nibbles and top bits. */
function scaleOf(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group]! & 63;
  return (bytes[at + group + 4]! & 15) | ((bytes[at + group - 4]! >> 6) << 4);
}

function minOf(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group + 4]! & 63;
  return (bytes[at + group + 4]! >> 4) | ((bytes[at + group]! >> 6) << 4);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
