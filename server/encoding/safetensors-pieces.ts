/**
 * A safetensors file as pieces: the header, then each tensor's own memory. Files of many gigabytes (checkpoints,
 * activation shards) are written piece by piece, without the second copy that `writeSafetensors` makes.
 */
import type { DType, Tensor } from "../tensor/tensor.ts";
import { bytesPerElement, sizeOf, tensor } from "../tensor/tensor.ts";
import { bytesOfTensor } from "./tensor-bytes.ts";

const names: Readonly<Record<DType, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
};

/** Name, type and shape of a tensor; its data may come later. */
export type TensorShape = Pick<Tensor, "dtype" | "dims">;

/** The length field and header, padded to 8 bytes, for tensors that follow in the order of `inFileOrder`. */
export function safetensorsHeader(
  tensors: ReadonlyMap<string, TensorShape>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header["__metadata__"] = metadata;
  let end = 0;
  for (const [name, { dtype, dims }] of inFileOrder(tensors)) {
    const begin = end;
    end += sizeOf(dims) * bytesPerElement[dtype];
    header[name] = { dtype: names[dtype], shape: dims, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(Math.ceil((8 + json.length) / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

/** The bytes of a safetensors file, one piece after the other; pieces of aligned tensors are views of their data. */
export function safetensorsPieces(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const data = inFileOrder(tensors).map(([, t]) => bytesOfTensor(tensor(t.dtype, t.dims, t.data)));
  return [safetensorsHeader(tensors, metadata), ...data];
}

/** As the reference writer does it, wide elements first, so that all are aligned; then by name. */
function inFileOrder<T extends TensorShape>(tensors: ReadonlyMap<string, T>): [string, T][] {
  return [...tensors].sort(
    ([a, x], [b, y]) => bytesPerElement[y.dtype] - bytesPerElement[x.dtype] || (a < b ? -1 : 1),
  );
}
