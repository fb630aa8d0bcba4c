/**
 * The encoding room: bytes to tensors and back, for safetensors, npz, PyTorch checkpoints and GGUF.
 *
 * It is pure: it sees bytes, never paths, disks or devices, and every file it reads is taken for hostile, so that any
 * bytes give either tensors or a `UserError`. Start with this file, then `gguf.ts` and `torch-pickle.ts`.
 *
 * This file: safetensors, https://huggingface.co/docs/safetensors (Format), with the checks of the reference
 * implementation: an 8-byte little-endian header length, a JSON header
 * `{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {…}}`, then the data, without gaps or overlaps.
 */
import { UserError } from "../base/errors.ts";
import { bytesPerElement, sizeOf, tensor } from "../tensor/tensor.ts";
import type { DType, Tensor } from "../tensor/tensor.ts";
import { badSafetensors, unknownDType } from "./errors.ts";
import { bytesOfTensor, checkDims, tensorFromBytes } from "./tensor-bytes.ts";

/** One tensor of a safetensors file; its bytes are `[begin, end)` from the start of the file. */
export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What the header of a safetensors file says. */
export interface SafetensorsHeader {
  readonly tensors: Map<string, SafetensorsEntry>;
  readonly metadata: Record<string, string>;
}

/** Bytes of the length field before the header. */
export const safetensorsLengthBytes = 8;

/** Longest header that is believed; the reference implementation has the same limit. */
const maxHeaderBytes = 100_000_000;

const dtypes: Readonly<Record<string, DType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
};

/**
 * Bytes that the length field and header take together: how much of a file must be read before
 * `readSafetensorsHeader`. `start` needs the first 8 bytes only.
 */
export function safetensorsHeaderBytes(start: Uint8Array, fileBytes: number): number {
  if (start.length < safetensorsLengthBytes) {
    throw badSafetensors(`it has only ${fileBytes} bytes`);
  }
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes))
    throw badSafetensors(`its header would take ${length} bytes`);
  const bytes = safetensorsLengthBytes + Number(length);
  if (bytes > fileBytes) {
    throw badSafetensors(`its header would end at byte ${bytes}, the file at byte ${fileBytes}`);
  }
  return bytes;
}

/**
 * Reads and checks the header. `bytes` is the whole file or at least its length field and header; then
 * `fileBytes` is the size of the file.
 */
export function readSafetensorsHeader(
  bytes: Uint8Array,
  fileBytes: number = bytes.length,
): SafetensorsHeader {
  const dataBegin = safetensorsHeaderBytes(bytes, fileBytes);
  const json = parseHeader(bytes.subarray(safetensorsLengthBytes, dataBegin));
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = readMetadata(value);
    else tensors.set(name, readEntry(name, value, dataBegin));
  }
  checkLayout(tensors, dataBegin, fileBytes);
  return { tensors, metadata };
}

/** All tensors of a safetensors file; aligned ones are views of `bytes`. */
export function readSafetensors(bytes: Uint8Array): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, dims, begin, end }] of readSafetensorsHeader(bytes).tensors) {
    tensors.set(name, tensorFromBytes(dtype, dims, bytes.subarray(begin, end)));
  }
  return tensors;
}

/** A safetensors file of the tensors; like the reference writer it puts wide elements first, so that all are aligned. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries = [...tensors].sort(
    ([a, x], [b, y]) => bytesPerElement[y.dtype] - bytesPerElement[x.dtype] || (a < b ? -1 : 1),
  );
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(["__metadata__", metadata]);
  let end = 0;
  for (const [name, { dtype, dims }] of entries) {
    const begin = end;
    end += sizeOf(dims) * bytesPerElement[dtype];
    header.push([
      name,
      { dtype: safetensorsDType(dtype), shape: dims, data_offsets: [begin, end] },
    ]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const dataBegin = Math.ceil((safetensorsLengthBytes + json.length) / 8) * 8;
  const bytes = new Uint8Array(dataBegin + end).fill(0x20, 0, dataBegin);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataBegin - safetensorsLengthBytes), true);
  bytes.set(json, safetensorsLengthBytes);
  let at = dataBegin;
  for (const [, t] of entries) {
    const data = bytesOfTensor(tensor(t.dtype, t.dims, t.data));
    bytes.set(data, at);
    at += data.length;
  }
  return bytes;
}

function safetensorsDType(dtype: DType): string {
  return Object.entries(dtypes).find(([, ours]) => ours === dtype)![0];
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new UserError("bad-safetensors", badSafetensors("its header is not JSON").message, {
      cause,
    });
  }
  if (!isRecord(json)) throw badSafetensors("its header is not a JSON object");
  return json;
}

/** Metadata is a map of strings; other values are kept as their JSON. */
function readMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw badSafetensors("its __metadata__ is not an object");
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [k, typeof v === "string" ? v : JSON.stringify(v)]),
  );
}

function readEntry(name: string, value: unknown, dataBegin: number): SafetensorsEntry {
  if (!isRecord(value)) throw badSafetensors(`the header's entry "${name}" is not an object`);
  const { dtype: theirs, shape, data_offsets } = value;
  if (typeof theirs !== "string") throw badSafetensors(`tensor "${name}" has no dtype`);
  const dtype = Object.hasOwn(dtypes, theirs) ? dtypes[theirs] : undefined;
  if (dtype === undefined) throw unknownDType(name, theirs, Object.keys(dtypes));
  const elements = checkDims(shape);
  if (elements === undefined) {
    throw badSafetensors(`tensor "${name}" has shape ${JSON.stringify(shape)}`);
  }
  const offsets = data_offsets;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isOffset)) {
    throw badSafetensors(`tensor "${name}" has data_offsets ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== elements * bytesPerElement[dtype]) {
    throw badSafetensors(
      `tensor "${name}" ${theirs} [${(shape as number[]).join(", ")}] needs ${elements * bytesPerElement[dtype]} bytes, ` +
        `its data_offsets span ${end - begin}`,
    );
  }
  return { dtype, dims: shape as number[], begin: dataBegin + begin, end: dataBegin + end };
}

/** The data of all tensors must fill the file exactly: that finds truncated files as well as hostile overlaps. */
function checkLayout(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  dataBegin: number,
  fileBytes: number,
): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = dataBegin;
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== at) {
      throw badSafetensors(
        `tensor "${name}" begins at byte ${begin}, but the one before it ends at byte ${at}`,
      );
    }
    at = end;
  }
  if (at !== fileBytes) {
    throw badSafetensors(
      at > fileBytes
        ? `its tensors need ${at} bytes, the file has ${fileBytes} (a download that was cut off?)`
        : `its tensors end at byte ${at}, the file only at byte ${fileBytes}`,
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
