/** Elements of a stored tensor as float32, read piece by piece so that only the result is held whole. */
import { assert } from "../base/errors.ts";
import { blockLayouts, dequantize, isBlockType } from "../encoding/blocks.ts";
import { elementsOf } from "../encoding/tensor-bytes.ts";
import { convertToFloat32 } from "../tensor/half.ts";
import type { StoredTensor } from "../tensor/tensor.ts";
import { bytesPerElement, sizeOf } from "../tensor/tensor.ts";
import { allocate } from "./disk.ts";
import type { OpenFile } from "./disk.ts";

/** Elements converted at a time: a multiple of every block size, small enough for the cache. */
const pieceElements = 1 << 18;

/** Elements `[from, to)` of a tensor, in row-major order, as float32. */
export function readStoredFloat32(
  file: OpenFile,
  place: StoredTensor,
  from = 0,
  to: number = sizeOf(place.dims),
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(allocate(place.file, (to - from) * 4).buffer);
  if (place.dtype === "float32") {
    file.read(place.offset + from * 4, new Uint8Array(out.buffer));
    return out;
  }
  const piece = new Uint8Array(bytesOf(place, Math.min(pieceElements, to - from)));
  for (let at = from; at < to; at += pieceElements) {
    const n = Math.min(pieceElements, to - at);
    const bytes = piece.subarray(0, bytesOf(place, n));
    file.read(place.offset + bytesOf(place, at), bytes);
    convert(place, bytes, out.subarray(at - from, at - from + n));
  }
  return out;
}

function bytesOf({ dtype }: StoredTensor, elements: number): number {
  if (!isBlockType(dtype)) return elements * bytesPerElement[dtype];
  const layout = blockLayouts[dtype];
  assert(elements % layout.elements === 0, `${elements} elements are no whole blocks of ${dtype}`);
  return (elements / layout.elements) * layout.bytes;
}

function convert({ dtype }: StoredTensor, bytes: Uint8Array, out: Float32Array): void {
  if (isBlockType(dtype)) dequantize(dtype, bytes, out);
  else convertToFloat32(dtype, elementsOf(dtype, bytes), out);
}
