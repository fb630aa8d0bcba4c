/** Copies of strided views into dense row-major tensors: transposed, sliced and Fortran-ordered arrays of files. */
import { assert } from "../base/errors.ts";
import type { DataOf, DType, Tensor } from "./tensor.ts";
import { sizeOf, tensor } from "./tensor.ts";

/** A view of elements: element `(i, j, …)` is `data[offset + i·strides[0] + j·strides[1] + …]`. */
export interface StridedView<D extends DType = DType> {
  readonly dtype: D;
  readonly data: DataOf[D];
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

/** Strides of a dense tensor whose last dimension is innermost (row-major), in elements. */
export function rowMajorStrides(dims: readonly number[]): number[] {
  const strides = Array.from({ length: dims.length }, () => 1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * dims[i + 1]!;
  return strides;
}

/** Strides of a dense tensor whose first dimension is innermost (Fortran order), in elements. */
export function columnMajorStrides(dims: readonly number[]): number[] {
  return rowMajorStrides(dims.toReversed()).toReversed();
}

/** True if the view's elements lie one after the other in row-major order; strides of length-1 dimensions do not matter. */
export function isDense({ dims, strides }: Pick<StridedView, "dims" | "strides">): boolean {
  const dense = rowMajorStrides(dims);
  return sizeOf(dims) === 0 || dims.every((dim, i) => dim === 1 || strides[i] === dense[i]);
}

/** One past the last element that the view touches; its offset if it has none. Strides must not be negative. */
export function viewEnd({ offset, dims, strides }: Omit<StridedView, "dtype" | "data">): number {
  if (sizeOf(dims) === 0) return offset;
  return dims.reduce((end, dim, i) => end + (dim - 1) * strides[i]!, offset + 1);
}

/** The view as a dense tensor: over the same memory if it is dense already, else a copy. */
export function denseTensor<D extends DType>(view: StridedView<D>): Tensor<D> {
  const { dtype, data, offset, dims, strides } = view;
  assert(dims.length === strides.length, `${dims.length} dims, ${strides.length} strides`);
  assert(viewEnd(view) <= data.length, "the view ends after its data");
  const size = sizeOf(dims);
  if (isDense(view)) return tensor(dtype, dims, data.subarray(offset, offset + size) as DataOf[D]);
  const out = new (data.constructor as new (length: number) => DataOf[D])(size);
  copyView(data, out, view);
  return tensor(dtype, dims, out);
}

/** Side of the square pieces in which the last two dimensions are copied; a transpose by whole rows misses the cache. */
const tile = 32;

function copyView(data: DataOf[DType], out: DataOf[DType], view: Omit<StridedView, "data">): void {
  const { offset, dims, strides } = view;
  const [rows = 1, columns = 1] = dims.length >= 2 ? dims.slice(-2) : [1, ...dims];
  const [rowStride = 0, columnStride = 0] = dims.length >= 2 ? strides.slice(-2) : [0, ...strides];
  const outer = dims.slice(0, -2);
  const index = outer.map(() => 0);
  for (let to = 0; to < out.length; to += rows * columns) {
    const from = index.reduce((at, i, axis) => at + i * strides[axis]!, offset);
    copyMatrix(data, out, { from, to, rows, columns, rowStride, columnStride });
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < outer[axis]!) break;
      index[axis] = 0;
    }
  }
}

interface MatrixCopy {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

function copyMatrix(data: DataOf[DType], out: DataOf[DType], copy: MatrixCopy): void {
  const { from, to, rows, columns, rowStride, columnStride } = copy;
  for (let row0 = 0; row0 < rows; row0 += tile) {
    const row1 = Math.min(row0 + tile, rows);
    for (let column0 = 0; column0 < columns; column0 += tile) {
      const column1 = Math.min(column0 + tile, columns);
      for (let row = row0; row < row1; row++) {
        let source = from + row * rowStride + column0 * columnStride;
        const target = to + row * columns;
        for (let column = column0; column < column1; column++, source += columnStride) {
          out[target + column] = data[source]!;
        }
      }
    }
  }
}
