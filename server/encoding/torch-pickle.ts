/**
 * PyTorch checkpoints (`.pt`, `.pth`) as torch.save writes them since version 1.6: a zip archive of
 * `<name>/data.pkl`, a pickle of the object, and `<name>/data/<key>`, the storages. The pickle is interpreted by an allow-list
 * (torch/_utils.py, torch/serialization.py); nothing of it is ever run.
 */
import { denseTensor, isDense, viewEnd } from "../tensor/strided.ts";
import type { DataOf, DType, Tensor } from "../tensor/tensor.ts";
import { bytesPerElement, sizeOf } from "../tensor/tensor.ts";
import { badTorchFile, refusedGlobal, unknownDType } from "./errors.ts";
import { PickleDict, readPickle } from "./pickle.ts";
import type { PickleHost } from "./pickle.ts";
import { checkDims, elementsOf, isAligned, offsetIn } from "./tensor-bytes.ts";
import type { FileTensor } from "./tensor-bytes.ts";
import { Budget, looksLikeZip, readZip } from "./zip.ts";
import type { Zip } from "./zip.ts";

/** What a checkpoint holds: tensors in dicts and lists, and plain values beside them. */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | FileTensor
  | TorchValue[]
  | { [key: string]: TorchValue };

/**
 * Reads a checkpoint. Parameters become tensors, dtypes and devices their names, tuples and sets arrays; attributes
 * of dicts are dropped. Dense, aligned tensors are views of `bytes`.
 */
export function readTorchPickle(bytes: Uint8Array): TorchValue {
  if (!looksLikeZip(bytes)) {
    throw badTorchFile("it is no zip archive (torch.save before PyTorch 1.6 wrote none)");
  }
  const budget = new Budget(bytes.length);
  const zip = readZip(bytes, budget);
  const pickles = zip.names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw badTorchFile(`the archive has ${pickles.length} members data.pkl, expected one`);
  }
  const root = pickle.slice(0, -"data.pkl".length);
  checkByteOrder(zip, `${root}byteorder`);
  const storages = new Storages(bytes, zip, { folder: `${root}data/`, budget });
  return plain(readPickle(zip.read(pickle), new TorchHost(storages)));
}

function checkByteOrder(zip: Zip, member: string): void {
  if (!zip.has(member)) return;
  const order = new TextDecoder().decode(zip.read(member));
  if (order !== "little") throw badTorchFile(`its numbers are ${order}-endian`);
}

/** The allow-list. */
class TorchHost implements PickleHost {
  readonly #storages: Storages;

  constructor(storages: Storages) {
    this.#storages = storages;
  }

  global(module: string, name: string): unknown {
    const path = `${module}.${name}`;
    const callable = callables.get(path);
    if (callable !== undefined) return callable;
    const isTorch = module === "torch" || module === "torch.cuda";
    const storage = /^(\w+)Storage$/.exec(name)?.[1];
    if (isTorch && storage !== undefined) return new StorageType(path, storageDTypes.get(storage));
    if (module === "torch" && dtypeNames.has(name)) return path;
    throw refusedGlobal(path);
  }

  persistent(id: unknown): unknown {
    if (!Array.isArray(id)) throw badTorchFile("a storage has no id");
    const [kind, type, key, , length] = id as unknown[];
    if (
      kind !== "storage" ||
      !(type instanceof StorageType) ||
      typeof key !== "string" ||
      !isCount(length)
    ) {
      throw badTorchFile("a storage has an id of another kind");
    }
    return this.#storages.read(type, key, length);
  }

  call(callee: unknown, args: readonly unknown[]): unknown {
    if (!(callee instanceof Callable))
      throw badTorchFile("its pickle calls something that is no function");
    return callee.rebuild(args, this.#storages);
  }
}

/** A Python function or class that a pickle may call: what it makes of its arguments. */
class Callable {
  readonly rebuild: (args: readonly unknown[], storages: Storages) => unknown;

  constructor(rebuild: (args: readonly unknown[], storages: Storages) => unknown) {
    this.rebuild = rebuild;
  }
}

const callables: ReadonlyMap<string, Callable> = new Map([
  ["collections.OrderedDict", new Callable(orderedDict)],
  ["torch._utils._rebuild_tensor_v2", new Callable(rebuildTensor)],
  ["torch._utils._rebuild_parameter", new Callable(rebuildParameter)],
  ["torch.Size", new Callable(items)],
  ["torch.device", new Callable((args) => args.map(String).join(":"))],
  ["builtins.set", new Callable(items)],
  ["__builtin__.set", new Callable(items)],
  ["builtins.frozenset", new Callable(items)],
  ["__builtin__.frozenset", new Callable(items)],
]);

const storageDTypes: ReadonlyMap<string, DType> = new Map([
  ["Double", "float64"],
  ["Float", "float32"],
  ["Half", "float16"],
  ["BFloat16", "bfloat16"],
  ["Long", "int64"],
  ["Int", "int32"],
  ["Short", "int16"],
  ["Char", "int8"],
  ["Byte", "uint8"],
  ["Bool", "bool"],
]);

/** `torch.float32` and the like, which configs keep beside the tensors. */
const dtypeNames: ReadonlySet<string> = new Set(
  "float64 double float32 float float16 half bfloat16 int64 long int32 int int16 short int8 uint8 bool".split(
    " ",
  ),
);

class StorageType {
  readonly name: string;
  readonly dtype: DType | undefined;

  constructor(name: string, dtype: DType | undefined) {
    this.name = name;
    this.dtype = dtype;
  }
}

/** The elements of one storage and where the file has them. */
class Storage {
  readonly dtype: DType;
  readonly data: DataOf[DType];
  readonly at: number | undefined;

  constructor(dtype: DType, data: DataOf[DType], at: number | undefined) {
    this.dtype = dtype;
    this.data = data;
    this.at = at;
  }
}

class Storages {
  readonly budget: Budget;
  readonly #file: Uint8Array;
  readonly #zip: Zip;
  readonly #folder: string;
  readonly #read = new Map<string, Storage>();

  constructor(file: Uint8Array, zip: Zip, rest: { folder: string; budget: Budget }) {
    this.#file = file;
    this.#zip = zip;
    this.#folder = rest.folder;
    this.budget = rest.budget;
  }

  read(type: StorageType, key: string, length: number): Storage {
    const { dtype } = type;
    if (dtype === undefined)
      throw unknownDType(`data/${key}`, type.name, [...storageDTypes.keys()]);
    const known = this.#read.get(`${dtype} ${length} ${key}`);
    if (known !== undefined) return known;
    const bytes = this.#zip.read(this.#folder + key);
    const needed = length * bytesPerElement[dtype];
    if (bytes.length < needed) {
      throw badTorchFile(`storage ${key} needs ${needed} bytes, found ${bytes.length}`);
    }
    if (!isAligned(dtype, bytes)) this.budget.take(needed, `storage ${key}`);
    const data = elementsOf(dtype, bytes.subarray(0, needed));
    const storage = new Storage(dtype, data, offsetIn(this.#file, bytes));
    this.#read.set(`${dtype} ${length} ${key}`, storage);
    return storage;
  }
}

/** torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks). */
function rebuildTensor(args: readonly unknown[], storages: Storages): FileTensor {
  const [storage, offset, dims, strides] = args;
  if (
    !(storage instanceof Storage) ||
    !isCount(offset) ||
    checkDims(dims) === undefined ||
    !Array.isArray(strides) ||
    !strides.every(isCount)
  ) {
    throw badTorchFile("a tensor has no storage, offset, size or stride");
  }
  const { dtype, data, at } = storage;
  const view = { dtype, data, offset, dims: dims as number[], strides };
  const found = `a tensor of size [${view.dims.join(", ")}] and stride [${strides.join(", ")}]`;
  if (view.dims.length !== strides.length) throw badTorchFile(found);
  if (viewEnd(view) > data.length) {
    throw badTorchFile(`${found} at ${offset} ends after its storage of ${data.length} elements`);
  }
  const dense = isDense(view);
  if (!dense) storages.budget.take(sizeOf(view.dims) * bytesPerElement[dtype], found);
  const t = denseTensor(view);
  return dense && at !== undefined ? { ...t, at: at + offset * bytesPerElement[dtype] } : t;
}

/** torch._utils._rebuild_parameter(data, requires_grad, backward_hooks): the tensor. */
function rebuildParameter([data]: readonly unknown[]): Tensor {
  if (!isTensor(data)) throw badTorchFile("a parameter has no tensor");
  return data;
}

/** collections.OrderedDict() or OrderedDict(pairs). */
function orderedDict([pairs]: readonly unknown[]): PickleDict {
  const dict = new PickleDict();
  for (const pair of pairs === undefined ? [] : items([pairs])) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw badTorchFile("a dict has an item that is no pair");
    dict.entries.set(pair[0], pair[1]);
  }
  return dict;
}

/** The items of the first argument, a list or tuple. */
function items([list = []]: readonly unknown[]): unknown[] {
  if (!Array.isArray(list))
    throw badTorchFile("a collection is made of something else than a list");
  return [...(list as unknown[])];
}

/** Deeper or larger values than this are no state dict; a pickle of a few bytes can nest lists without end. */
const maxDepth = 64;
const maxNodes = 1_000_000;

/** The pickle's value in plain objects and arrays, as a tree. */
function plain(value: unknown): TorchValue {
  let nodes = 0;
  const visit = (it: unknown, depth: number): TorchValue => {
    nodes++;
    if (depth > maxDepth || nodes > maxNodes) throw badTorchFile("its value nests without end");
    if (it instanceof PickleDict) {
      const entries = [...it.entries].map(([k, v]) => [keyText(k), visit(v, depth + 1)] as const);
      return Object.fromEntries(entries);
    }
    if (Array.isArray(it)) return it.map((inner) => visit(inner, depth + 1));
    if (it === null || it instanceof Uint8Array || isTensor(it)) return it;
    if (isPlain(it)) return it;
    throw badTorchFile("it holds a function or type where a value should be");
  };
  return visit(value, 0);
}

function isPlain(value: unknown): value is boolean | number | bigint | string {
  return ["boolean", "number", "bigint", "string"].includes(typeof value);
}

function keyText(key: unknown): string {
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "boolean") return String(key);
  throw badTorchFile("a dict has keys that are neither text nor numbers");
}

/** Only `rebuildTensor` makes plain objects, so nothing else of a pickle can pass for a tensor. */
function isTensor(value: unknown): value is FileTensor {
  return typeof value === "object" && value !== null && "dtype" in value && "dims" in value;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
