/**
 * NumPy archives: `.npz` is a zip archive of `.npy` arrays. Format of an array, versions 1 to 3:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Arrays of Python objects hold pickles and are
 * refused.
 */
import { columnMajorStrides, denseTensor } from "../tensor/strided.ts";
import type { DType } from "../tensor/tensor.ts";
import { bytesPerElement } from "../tensor/tensor.ts";
import { badNpy, unknownDType } from "./errors.ts";
import { checkDims, elementsOf, isAligned, offsetIn, tensorFromBytes } from "./tensor-bytes.ts";
import type { FileTensor } from "./tensor-bytes.ts";
import { Budget, readZip } from "./zip.ts";

const dtypes: Readonly<Record<string, DType>> = {
  "<f8": "float64",
  "<f4": "float32",
  "<f2": "float16",
  "<i8": "int64",
  "<i4": "int32",
  "<i2": "int16",
  "|i1": "int8",
  "<u8": "uint64",
  "<u4": "uint32",
  "<u2": "uint16",
  "|u1": "uint8",
  "|b1": "bool",
};

/** All arrays of an `.npz` archive by name; uncompressed, aligned ones are views of `bytes`. */
export function readNpz(bytes: Uint8Array): Map<string, FileTensor> {
  const budget = new Budget(bytes.length);
  const zip = readZip(bytes, budget);
  const tensors = new Map<string, FileTensor>();
  for (const member of zip.names) {
    if (!member.endsWith(".npy")) continue;
    const name = member.slice(0, -".npy".length);
    tensors.set(name, readArray(name, zip.read(member), { file: bytes, budget }));
  }
  return tensors;
}

/** One `.npy` array. */
export function readNpy(bytes: Uint8Array): FileTensor {
  return readArray("the array", bytes, { file: bytes, budget: new Budget(bytes.length) });
}

function readArray(
  name: string,
  bytes: Uint8Array,
  { file, budget }: { file: Uint8Array; budget: Budget },
): FileTensor {
  const { descr, fortran, dims, dataBegin } = readNpyHeader(name, bytes);
  const dtype = Object.hasOwn(dtypes, descr) ? dtypes[descr] : undefined;
  if (dtype === undefined) throw unknownDType(name, descr, Object.keys(dtypes));
  const elements = checkDims(dims);
  if (elements === undefined) throw badNpy(`"${name}" has shape (${dims.join(", ")})`);
  const data = bytes.subarray(dataBegin);
  if (data.length !== elements * bytesPerElement[dtype]) {
    throw badNpy(
      `"${name}" ${descr} (${dims.join(", ")}) needs ${elements * bytesPerElement[dtype]} bytes, found ${data.length}`,
    );
  }
  const dense = !fortran || dims.length < 2;
  if (!dense || !isAligned(dtype, data)) budget.take(data.length, `array "${name}"`);
  if (!dense) {
    const strides = columnMajorStrides(dims);
    return denseTensor({ dtype, data: elementsOf(dtype, data), offset: 0, dims, strides });
  }
  const at = offsetIn(file, data);
  return { ...tensorFromBytes(dtype, dims, data), ...(at === undefined ? {} : { at }) };
}

/** Magic, version, header length, then a Python dict literal that NumPy itself writes in one way only. */
function readNpyHeader(name: string, bytes: Uint8Array) {
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== "\x93NUMPY") throw badNpy(`"${name}" does not begin as arrays do`);
  const version = bytes[6] ?? 0;
  if (version < 1 || version > 3)
    throw badNpy(`"${name}" has version ${version}, readable are 1 to 3`);
  const lengthBytes = version === 1 ? 2 : 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const from = 8 + lengthBytes;
  if (from > bytes.length) throw badNpy(`"${name}" has no header`);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataBegin = from + length;
  // A header of the types read here is some 100 bytes; NumPy itself believes at most 10,000.
  if (length > 10_000 || dataBegin > bytes.length)
    throw badNpy(`"${name}" claims a header of ${length} bytes`);
  const text = new TextDecoder().decode(bytes.subarray(from, dataBegin));
  const descr = /'descr': '([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order': (True|False)/.exec(text)?.[1];
  const shape = /'shape': \(([\d, ]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw badNpy(`"${name}" has the header ${text.slice(0, 80).trim()}`);
  }
  const dims = shape.split(",").flatMap((dim) => (dim.trim() === "" ? [] : [Number(dim)]));
  return { descr, fortran: fortran === "True", dims, dataBegin };
}
