/**
 * GGUF headers, versions 2 and 3, little-endian: ggml's docs/gguf.md. Magic, counts, key-value metadata, tensor
 * infos, padding to the alignment, data. Dimensions stand innermost first in the file; here they are row-major,
 * outermost first, like everywhere else in this project.
 */
import type { BlockType, DType } from "../tensor/tensor.ts";
import { bytesPerElement } from "../tensor/tensor.ts";
import { blockLayouts, isBlockType } from "./blocks.ts";
import { badGguf, unknownBlockType } from "./errors.ts";
import { checkDims } from "./tensor-bytes.ts";

/** A tensor of a GGUF file; `offset` counts from the start of the file. */
export interface GgufTensor {
  readonly type: DType | BlockType;
  readonly dims: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

/** What the header of a GGUF file says. */
export interface GgufHeader {
  readonly version: number;
  /** Numbers (bigint beyond 2^53), booleans, strings and arrays of these. */
  readonly metadata: Map<string, unknown>;
  readonly tensors: Map<string, GgufTensor>;
  /** Where the data of the tensors begins. */
  readonly dataOffset: number;
}

/** ggml's type numbers; those without a layout here are named in the error that refuses them. */
const types: Readonly<Record<number, DType | BlockType>> = {
  0: "float32",
  1: "float16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  24: "int8",
  25: "int16",
  26: "int32",
  27: "int64",
  28: "float64",
  30: "bfloat16",
};

const otherTypes: Readonly<Record<number, string>> = {
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};

const readableTypes = ["F32", "F16", "BF16", ...Object.keys(blockLayouts)];

/**
 * Reads and checks the header. `bytes` is the file or its beginning; `fileBytes` its size. Undefined when the
 * header goes on after `bytes`: then try again with more.
 */
export function readGgufHeader(bytes: Uint8Array, fileBytes: number): GgufHeader | undefined;
export function readGgufHeader(bytes: Uint8Array): GgufHeader;
export function readGgufHeader(
  bytes: Uint8Array,
  fileBytes: number = bytes.length,
): GgufHeader | undefined {
  try {
    return readWhole(new Cursor(bytes, fileBytes));
  } catch (error) {
    if (error instanceof HeaderGoesOn) return undefined;
    throw error;
  }
}

function readWhole(cursor: Cursor): GgufHeader {
  const magic = cursor.uint32();
  if (magic !== 0x46554747) throw badGguf("it does not begin with GGUF");
  const version = cursor.uint32();
  if ((version & 0xffff) === 0) throw badGguf("it is big-endian");
  if (version !== 2 && version !== 3)
    throw badGguf(`it has version ${version}, readable are 2 and 3`);
  const tensorCount = cursor.count("tensors");
  const entryCount = cursor.count("metadata entries");
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.string();
    metadata.set(key, readValue(cursor, cursor.uint32(), 0));
  }
  const infos = new Map<string, Omit<GgufTensor, "byteLength"> & { bytes: number }>();
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string();
    if (infos.has(name)) throw badGguf(`it has two tensors "${name}"`);
    infos.set(name, readInfo(cursor, name));
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 1) {
    throw badGguf("its general.alignment is no whole number above 0");
  }
  const dataOffset = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, { type, dims, offset, bytes }] of infos) {
    tensors.set(name, { type, dims, offset: dataOffset + offset, byteLength: bytes });
  }
  checkLayout(tensors, cursor.fileBytes);
  return { version, metadata, tensors, dataOffset };
}

function readInfo(
  cursor: Cursor,
  name: string,
): Omit<GgufTensor, "byteLength"> & { bytes: number } {
  const nDims = cursor.uint32();
  if (nDims > 4) throw badGguf(`tensor "${name}" has ${nDims} dimensions`);
  const dims = Array.from({ length: nDims }, () => Number(cursor.uint64())).toReversed();
  const number = cursor.uint32();
  const type = types[number];
  if (type === undefined) {
    throw unknownBlockType(name, otherTypes[number] ?? `number ${number}`, readableTypes);
  }
  const elements = checkDims(dims);
  if (elements === undefined) throw badGguf(`tensor "${name}" has shape [${dims.join(", ")}]`);
  const block = isBlockType(type)
    ? blockLayouts[type]
    : { elements: 1, bytes: bytesPerElement[type] };
  if ((dims.at(-1) ?? 1) % block.elements !== 0) {
    throw badGguf(
      `tensor "${name}" ${type} [${dims.join(", ")}] has rows that are no multiple of ${block.elements}`,
    );
  }
  const offset = cursor.uint64();
  if (offset > BigInt(cursor.fileBytes)) {
    throw badGguf(
      `tensor "${name}" begins at byte ${offset} of the data, after the end of the file`,
    );
  }
  return { type, dims, offset: Number(offset), bytes: (elements / block.elements) * block.bytes };
}

/** Tensors must lie inside the file and not on one another; padding between them is allowed. */
function checkLayout(tensors: ReadonlyMap<string, GgufTensor>, fileBytes: number): void {
  let end = 0;
  let before = "";
  for (const [name, t] of [...tensors].sort(([, a], [, b]) => a.offset - b.offset)) {
    if (t.offset < end) throw badGguf(`tensors "${before}" and "${name}" overlap`);
    end = t.offset + t.byteLength;
    before = name;
    if (end > fileBytes) {
      throw badGguf(
        `tensor "${name}" ends at byte ${end}, the file at byte ${fileBytes} (a download that was cut off?)`,
      );
    }
  }
}

const arrayType = 9;

/** A metadata value by its type number. Arrays may nest; four deep is more than any writer does. */
function readValue(cursor: Cursor, type: number, depth: number): unknown {
  if (type !== arrayType) return scalarReader(type)(cursor);
  if (depth > 3) throw badGguf("its metadata has arrays nested deeper than 4");
  const itemType = cursor.uint32();
  const length = cursor.count("array items");
  const items: unknown[] = [];
  if (itemType === arrayType) {
    for (let i = 0; i < length; i++) items.push(readValue(cursor, itemType, depth + 1));
  } else {
    const read = scalarReader(itemType);
    for (let i = 0; i < length; i++) items.push(read(cursor));
  }
  return items;
}

function scalarReader(type: number): (cursor: Cursor) => unknown {
  const read = scalarReaders[type];
  if (read === undefined) throw badGguf(`its metadata has a value of unknown type ${type}`);
  return read;
}

/** Readers of metadata values in the order of their type numbers; 9 is the array. */
const scalarReaders: readonly (((cursor: Cursor) => unknown) | undefined)[] = [
  (it) => it.view.getUint8(it.take(1)),
  (it) => it.view.getInt8(it.take(1)),
  (it) => it.view.getUint16(it.take(2), true),
  (it) => it.view.getInt16(it.take(2), true),
  (it) => it.uint32(),
  (it) => it.view.getInt32(it.take(4), true),
  (it) => it.view.getFloat32(it.take(4), true),
  (it) => it.view.getUint8(it.take(1)) !== 0,
  (it) => it.string(),
  undefined,
  (it) => integer(it.uint64()),
  (it) => integer(it.view.getBigInt64(it.take(8), true)),
  (it) => it.view.getFloat64(it.take(8), true),
];

function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Thrown when the header goes on after the bytes at hand, but not after the file. */
class HeaderGoesOn extends Error {}

/** Reads numbers and strings one after the other and never past the end. */
class Cursor {
  at = 0;
  readonly view: DataView;
  readonly fileBytes: number;
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileBytes = fileBytes;
  }

  /** Where the next `length` bytes begin; moves behind them. */
  take(length: number): number {
    const from = this.at;
    if (from + length > this.fileBytes) {
      throw badGguf(`its header goes on after the end of the file at byte ${this.fileBytes}`);
    }
    if (from + length > this.#bytes.length) throw new HeaderGoesOn();
    this.at += length;
    return from;
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  uint64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** A number of things that each take a byte or more, so that there cannot be more of them than bytes. */
  count(what: string): number {
    const count = this.uint64();
    if (count > BigInt(this.fileBytes - this.at)) {
      throw badGguf(`it claims ${count} ${what} in a file of ${this.fileBytes} bytes`);
    }
    return Number(count);
  }

  string(): string {
    const length = this.count("characters of a string");
    const from = this.take(length);
    return this.#decoder.decode(this.#bytes.subarray(from, from + length));
  }
}
