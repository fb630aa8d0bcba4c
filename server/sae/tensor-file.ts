/** Named tensors of an SAE's weight file, whether they can be read by offset or lie in memory. */
import { readNpz } from "../encoding/npz.ts";
import type { FileTensor } from "../encoding/tensor-bytes.ts";
import { readTorchPickle } from "../encoding/torch-pickle.ts";
import { readBytes, realPath } from "../files/disk.ts";
import { inFile, missingTensor } from "../files/errors.ts";
import { openSafetensors, type Weights, weightsOf } from "../files/weights.ts";
import { toFloat32 } from "../tensor/half.ts";
import { sizeOf, type StoredTensor, type Tensor } from "../tensor/tensor.ts";
import { isRecord } from "./config-file.ts";

/** A weight file of an SAE. */
export interface TensorFile {
  /** The path: what errors name. */
  readonly description: string;
  names(): readonly string[];
  dims(name: string): readonly number[] | undefined;
  /** Where the tensor lies: in the file by offset if its bytes lie there as they are, else in memory. */
  source(name: string): Tensor | StoredTensor;
  /** The whole tensor. */
  readFloat32(name: string): Float32Array;
  /** Rows `[from, to)` of the outermost dimension. */
  readRows(name: string, from: number, to: number): Float32Array;
  /** Values of the file that are no tensors (pickles only). */
  readonly rest: Readonly<Record<string, unknown>>;
  close(): void;
}

/** Opens a `.safetensors`, `.npz`, `.pt` or `.pth` file. */
export function openTensorFile(path: string): TensorFile {
  if (path.endsWith(".safetensors")) return openSafetensorsFile(path);
  const bytes = readBytes(path);
  const { tensors, rest } = path.endsWith(".npz")
    ? { tensors: inFile(path, () => readNpz(bytes)), rest: {} }
    : stateDict(inFile(path, () => readTorchPickle(bytes)));
  return inArchive(path, tensors, rest);
}

function openSafetensorsFile(path: string): TensorFile {
  return byOffset(openSafetensors(path), {});
}

function byOffset(weights: Weights, rest: Readonly<Record<string, unknown>>): TensorFile {
  return {
    description: weights.description,
    names: () => weights.names(),
    dims: (name) => weights.dims(name),
    source: (name) => weights.stored(name),
    readFloat32: (name) => weights.readFloat32(name),
    readRows: (name, from, to) => weights.readRows(name, from, to),
    rest,
    close: () => weights.close(),
  };
}

/** Tensors of an archive: by offset if all lie in it as they are, so that its bytes need not stay in memory. */
function inArchive(
  path: string,
  tensors: ReadonlyMap<string, FileTensor>,
  rest: Readonly<Record<string, unknown>>,
): TensorFile {
  const places = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    const place = placeInFile(path, tensor);
    if (place) places.set(name, place);
  }
  if (places.size === tensors.size) return byOffset(weightsOf(path, places), rest);
  return inMemory(path, tensors, rest);
}

function inMemory(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  rest: Readonly<Record<string, unknown>>,
): TensorFile {
  const get = (name: string): Tensor => {
    const found = tensors.get(name);
    if (!found) throw missingTensor(path, name, [...tensors.keys()]);
    return found;
  };
  return {
    description: path,
    names: () => [...tensors.keys()],
    dims: (name) => tensors.get(name)?.dims,
    source: get,
    readFloat32: (name) => toFloat32(get(name)),
    readRows(name, from, to) {
      const { dtype, dims, data } = get(name);
      const inner = dims.slice(1);
      const rows = data.subarray(from * sizeOf(inner), to * sizeOf(inner));
      return toFloat32({ dtype, dims: [to - from, ...inner], data: rows } as Tensor);
    },
    rest,
    close: () => {},
  };
}

/** Where a tensor lies in its file: torch.save and numpy.savez do not compress. */
function placeInFile(
  path: string,
  { at, dtype, dims, data }: FileTensor,
): StoredTensor | undefined {
  if (at === undefined) return undefined;
  return { file: realPath(path), offset: at, byteLength: data.byteLength, dtype, dims };
}

/** Tensors of a state dict by name, those of dicts within by dotted name; and all other values. */
function stateDict(value: unknown): {
  tensors: Map<string, FileTensor>;
  rest: Record<string, unknown>;
} {
  const tensors = new Map<string, FileTensor>();
  const rest: Record<string, unknown> = {};
  const visit = (entry: unknown, name: string): void => {
    if (isTensor(entry)) tensors.set(name, entry);
    else if (isRecord(entry))
      for (const [key, inner] of Object.entries(entry))
        visit(inner, name === "" ? key : `${name}.${key}`);
    else rest[name] = entry;
  };
  visit(value, "");
  return { tensors, rest };
}

function isTensor(value: unknown): value is FileTensor {
  return (
    isRecord(value) && "dtype" in value && "dims" in value && ArrayBuffer.isView(value["data"])
  );
}
