/**
 * Weights on disk: named tensors of a `.safetensors` file, a folder of them, or a `.gguf` file, read by offset, so that
 * opening costs the header only and one tensor never more memory than itself.
 */
import { join } from "node:path";
import { assert } from "../base/errors.ts";
import { badGguf } from "../encoding/errors.ts";
import { readGgufHeader } from "../encoding/gguf.ts";
import type { GgufHeader } from "../encoding/gguf.ts";
import { readSafetensorsHeader, safetensorsHeaderBytes } from "../encoding/safetensors.ts";
import type { StoredTensor } from "../tensor/tensor.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { OpenFile } from "./disk.ts";
import { exists, isFolder, listFolder, openFile, readJson, realPath } from "./disk.ts";
import { badShardIndex, inFile, missingTensor, noWeights, unknownWeightsFile } from "./errors.ts";
import { readStoredFloat32 } from "./read-stored.ts";

/** A vocabulary takes some 10 MB; a header longer than this is no header. */
const maxGgufHeaderBytes = 2 ** 28;

/** Named tensors in one or more files. */
export interface Weights {
  /** The path as it was given: what errors name. */
  readonly description: string;
  /** Names of all tensors, in the order of the file. */
  names(): readonly string[];
  /** Shape in row-major order, outermost first; undefined for an absent name. */
  dims(name: string): readonly number[] | undefined;
  /** Place in the file; its dtype may be a block type. A missing name is a user's error that says what there is. */
  stored(name: string): StoredTensor;
  /** The whole tensor as float32, dequantised. */
  readFloat32(name: string): Float32Array<ArrayBuffer>;
  /** Rows `[from, to)` of the outermost dimension as float32, read by offset. `-> [to − from, …]` */
  readRows(name: string, from: number, to: number): Float32Array<ArrayBuffer>;
  close(): void;
}

/**
 * Opens weights: a `.safetensors` or `.gguf` file, or a folder with `model.safetensors`,
 * `model.safetensors.index.json` or a single `.gguf` file, in this order (transformers' own).
 */
export function openWeights(path: string): Weights {
  if (!isFolder(path)) return openWeightsFile(path);
  const whole = join(path, "model.safetensors");
  if (exists(whole)) return openSafetensors(whole);
  const index = join(path, "model.safetensors.index.json");
  if (exists(index)) return openShards(path, index);
  const found = listFolder(path);
  const gguf = found.filter((name) => name.endsWith(".gguf"));
  if (gguf.length !== 1) throw noWeights(path, found);
  return openWeightsFile(join(path, gguf[0]!));
}

function openWeightsFile(path: string): Weights {
  if (path.endsWith(".safetensors")) return openSafetensors(path);
  if (path.endsWith(".gguf")) return openGguf(path).weights;
  realPath(path);
  throw unknownWeightsFile(path);
}

/** Opens one safetensors file, whatever its name. */
export function openSafetensors(path: string): Weights {
  return weightsOf(path, safetensorsPlaces(path));
}

/** Opens a GGUF file: its tensors under their own names, and its metadata, which hold config and tokenizer. */
export function openGguf(path: string): { weights: Weights; metadata: Map<string, unknown> } {
  const file = realPath(path);
  const source = openFile(file);
  try {
    const { tensors, metadata } = ggufHeader(path, source);
    const places = [...tensors].map(([name, { type, dims, offset, byteLength }]) => {
      return [name, { file, offset, byteLength, dtype: type, dims }] as const;
    });
    return { weights: weightsOf(path, new Map(places)), metadata };
  } finally {
    source.close();
  }
}

/** The header's length is known only after reading it: try with a beginning of the file, then with a longer one. */
function ggufHeader(path: string, source: OpenFile): GgufHeader {
  for (let bytes = 16 * 2 ** 20; ; bytes *= 4) {
    const start = new Uint8Array(Math.min(bytes, source.size));
    source.read(0, start);
    const header = inFile(path, () => readGgufHeader(start, source.size));
    if (header !== undefined) return header;
    if (bytes >= maxGgufHeaderBytes) {
      return inFile(path, () => {
        throw badGguf(`its header is longer than ${maxGgufHeaderBytes} bytes`);
      });
    }
  }
}

/** Weights whose tensors lie at known places; files are opened when first read and stay open until `close`. */
export function weightsOf(description: string, places: ReadonlyMap<string, StoredTensor>): Weights {
  const files = new Map<string, OpenFile>();
  const stored = (name: string): StoredTensor => {
    const place = places.get(name);
    if (place === undefined) throw missingTensor(description, name, [...places.keys()]);
    return place;
  };
  const open = (path: string): OpenFile => {
    const known = files.get(path);
    if (known !== undefined) return known;
    const file = openFile(path);
    files.set(path, file);
    return file;
  };
  return {
    description,
    stored,
    names: () => [...places.keys()],
    dims: (name) => places.get(name)?.dims,
    readFloat32(name) {
      const place = stored(name);
      return readStoredFloat32(open(place.file), place);
    },
    readRows(name, from, to) {
      const place = stored(name);
      const [rows = 1, ...inner] = place.dims;
      assert(
        Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows,
        `rows ${from} to ${to} of "${name}" [${place.dims.join(", ")}]`,
      );
      const rowElements = sizeOf(inner);
      return readStoredFloat32(open(place.file), place, from * rowElements, to * rowElements);
    },
    close() {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}

/** Where the tensors of a safetensors file lie. */
function safetensorsPlaces(path: string): Map<string, StoredTensor> {
  const file = realPath(path);
  const source = openFile(file);
  try {
    const start = new Uint8Array(Math.min(8, source.size));
    source.read(0, start);
    const header = new Uint8Array(inFile(path, () => safetensorsHeaderBytes(start, source.size)));
    source.read(0, header);
    const { tensors } = inFile(path, () => readSafetensorsHeader(header, source.size));
    return new Map(
      [...tensors].map(([name, { dtype, dims, begin, end }]) => [
        name,
        { file, offset: begin, byteLength: end - begin, dtype, dims },
      ]),
    );
  } finally {
    source.close();
  }
}

/** A folder of shards: `weight_map` of the index says which file has which tensor. */
function openShards(folder: string, index: string): Weights {
  const map = (readJson(index) as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null) {
    throw badShardIndex(index, "it has no weight_map");
  }
  const shards = new Map<string, Map<string, StoredTensor>>();
  const places = new Map<string, StoredTensor>();
  for (const [name, file] of Object.entries(map)) {
    // A shard is a name, never a way out of the folder.
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw badShardIndex(
        index,
        `tensor "${name}" is in ${JSON.stringify(file)}, no file of this folder`,
      );
    }
    const path = join(folder, file);
    if (!shards.has(file) && !exists(path)) throw badShardIndex(index, `${file} is missing`);
    const shard = shards.get(file) ?? safetensorsPlaces(path);
    shards.set(file, shard);
    const place = shard.get(name);
    if (place === undefined) throw badShardIndex(index, `${file} has no tensor "${name}"`);
    places.set(name, place);
  }
  return weightsOf(folder, places);
}
