/**
 * One parameter of an SAE in the one orientation that we have inside (`W_enc [d_in, d_sae]`, `W_dec [d_sae, d_out]`),
 * wherever and however it is stored.
 */
import type { StoredTensor, Tensor } from "../tensor/tensor.ts";
import { sizeOf, tensor } from "../tensor/tensor.ts";
import { missingParameter, wrongParameterShape } from "./errors.ts";
import type { TensorFile } from "./tensor-file.ts";

/** A parameter. */
export interface Parameter {
  /** What errors call it: file and key. */
  readonly file: string;
  readonly key: string;
  /** Shape in our orientation. */
  readonly dims: readonly number[];
  /** As it is stored: of shape `dims`, or with both dimensions swapped if `transposed`. */
  readonly source: Tensor | StoredTensor;
  readonly transposed: boolean;
  /** The whole parameter in our orientation. */
  readFloat32(): Float32Array;
  /** Some rows in our orientation. `-> [rows, dims[1]]` */
  readRows(rows: readonly number[]): Float32Array;
  /**
   * Elements in stored order, in pieces of bounded size; `at` is the first one's index. A `share` below 1 leaves out
   * pieces evenly.
   */
  pieces(share: number): Iterable<{ at: number; values: Float32Array }>;
}

/** Where a format says that a parameter is. */
export type Located =
  | { readonly in: TensorFile; readonly key: string; readonly transposed?: boolean }
  | { readonly in: TensorFile; readonly key: string; readonly values: Float32Array };

/** Parameters by name. */
export type Parameters = ReadonlyMap<string, Parameter>;

/** Elements read at a time where only few are kept. */
const pieceElements = 1 << 20;

/** Checks located tensors against the shapes that the architecture expects. Nothing is reshaped to fit. */
export function readParameters(
  located: Readonly<Record<string, Located | undefined>>,
  expected: Readonly<Record<string, readonly number[]>>,
  architecture: string,
): Parameters {
  const parameters = new Map<string, Parameter>();
  for (const [name, dims] of Object.entries(expected)) {
    const place = located[name] ?? absent(located, name, architecture);
    parameters.set(
      name,
      "values" in place ? computed(place, dims) : stored(place, dims, architecture),
    );
  }
  return parameters;
}

/** A parameter that was computed at load, e.g. a scalar threshold spread over all latents. */
export function computed(
  place: {
    readonly in: Pick<TensorFile, "description">;
    readonly key: string;
    readonly values: Float32Array;
  },
  dims: readonly number[],
): Parameter {
  const { values, key } = place;
  const file = place.in.description;
  if (values.length !== sizeOf(dims))
    throw wrongParameterShape({ file, key, found: [values.length], expected: dims });
  const width = sizeOf(dims.slice(1));
  return {
    file,
    key,
    dims,
    source: tensor("float32", dims, values),
    transposed: false,
    readFloat32: () => values,
    readRows: (rows) =>
      gather(rows, width, (row) => values.subarray(row * width, (row + 1) * width)),
    pieces: () => [{ at: 0, values }],
  };
}

function stored(
  place: { readonly in: TensorFile; readonly key: string; readonly transposed?: boolean },
  dims: readonly number[],
  architecture: string,
): Parameter {
  const { in: from, key, transposed = false } = place;
  const file = from.description;
  const found = from.dims(key);
  if (!found) throw missingParameter(file, key, from.names(), `the architecture ${architecture}`);
  const expected = transposed ? dims.toReversed() : dims;
  if (found.length !== expected.length || found.some((size, at) => size !== expected[at]))
    throw wrongParameterShape({ file, key, found, expected });
  const [nRows = 1, width = 1] = dims;
  return {
    file,
    key,
    dims,
    source: readable(from, key),
    transposed,
    readFloat32() {
      const values = from.readFloat32(key);
      return transposed ? transpose(values, width, nRows) : values;
    },
    readRows(rows) {
      if (transposed) return gatherColumns(from, key, { rows, nStored: width, width: nRows });
      return gather(rows, width, (row) => from.readRows(key, row, row + 1));
    },
    *pieces() {
      const [outer = 1, ...inner] = found;
      const length = sizeOf(inner);
      const step = Math.max(1, Math.floor(pieceElements / length));
      for (let at = 0; at < outer; at += step) {
        const to = Math.min(at + step, outer);
        const values = found.length === 0 ? from.readFloat32(key) : from.readRows(key, at, to);
        yield { at: at * length, values };
      }
    },
  };
}

/** The tensor by offset if ONNX Runtime can read its element type, else widened in memory. */
function readable(from: TensorFile, key: string): Tensor | StoredTensor {
  const source = from.source(key);
  if (["float32", "float16", "bfloat16"].includes(source.dtype)) return source;
  return tensor("float32", source.dims, from.readFloat32(key));
}

function absent(
  located: Readonly<Record<string, Located | undefined>>,
  name: string,
  architecture: string,
): never {
  const any = Object.values(located).find((it) => it !== undefined);
  throw missingParameter(
    any?.in.description ?? "the weight file",
    name,
    any?.in.names() ?? [],
    `the architecture ${architecture}`,
  );
}

function gather(
  rows: readonly number[],
  width: number,
  read: (row: number) => Float32Array,
): Float32Array {
  const out = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) out.set(read(row), at * width);
  return out;
}

/**
 * Rows of a matrix that is stored with its dimensions swapped, so that each row is a column of the file: the file is
 * read once from end to end and only the asked columns are kept.
 */
function gatherColumns(
  from: TensorFile,
  key: string,
  want: { rows: readonly number[]; nStored: number; width: number },
): Float32Array {
  const { rows, nStored, width } = want;
  const out = new Float32Array(rows.length * nStored);
  const step = Math.max(1, Math.floor(pieceElements / width));
  for (let at = 0; at < nStored; at += step) {
    const to = Math.min(at + step, nStored);
    const piece = from.readRows(key, at, to);
    for (const [index, row] of rows.entries())
      for (let column = at; column < to; column++)
        out[index * nStored + column] = piece[(column - at) * width + row]!;
  }
  return out;
}

/** `[rows, columns] -> [columns, rows]` */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column * rows + row] = values[row * columns + column]!;
  return out;
}
