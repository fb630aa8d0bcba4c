/**
 * Ops that read and write by index.
 */
import type { Dim } from "../dims.ts";
import type { Value, ValueType } from "../graph.ts";
import { applyOne, axisOf, defineOp, expectDType, type Fail, sameDType } from "../op.ts";
import { expandLike, reshape, unsqueeze, zerosLike } from "./shape.ts";

const gatherOp = defineOp<{ readonly axis: number }>({
  name: "gather",
  onnx: "Gather",
  shape([x, indices], { axis }, fail) {
    expectDType(indices!, ["int32", "int64"], fail);
    const at = axisOf(axis, x!.dims.length, fail);
    const dims = [...x!.dims.slice(0, at), ...indices!.dims, ...x!.dims.slice(at + 1)];
    return [{ dtype: x!.dtype, dims }];
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  gradient([dy], [x, indices], _, { axis }) {
    const at = axis < 0 ? axis + x!.dims.length : axis;
    const rows = oneIndexAxis(dy!, indices!, at);
    const list = unsqueeze(
      reshape(indices!, [-1]),
      rows.dims.slice(at + 1).map((__, i) => i + 1),
    );
    return [scatterAdded(x!, expandLike(list, rows), rows, at), undefined];
  },
});

/** dy of a gather with the indices' axes made one: `[…, indices…, …] -> […, n, …]` */
function oneIndexAxis(dy: Value, indices: Value, axis: number): Value {
  const rank = indices.dims.length;
  if (rank === 0) return unsqueeze(dy, [axis]);
  if (rank === 1) return dy;
  return reshape(dy, [...dy.dims.slice(0, axis), -1, ...dy.dims.slice(axis + rank)]);
}

/**
 * Zeros like x with updates added at indices. Not ScatterND, which on the CPU provider loses updates when two threads
 * add to one row (onnxruntime issue 18048).
 */
function scatterAdded(x: Value, indices: Value, updates: Value, axis: number): Value {
  return scatterElements(zerosLike(x), indices, updates, { axis, reduction: "add" });
}

/** The slices of x at these indices along an axis: [d_vocab, d_model] and [tokens] give [tokens, d_model]. */
export function gather(x: Value, indices: Value, axis = 0): Value {
  return applyOne(gatherOp, [x, indices], { axis });
}

function checkIndices(x: ValueType, indices: ValueType, axis: number, fail: Fail): void {
  expectDType(indices, ["int32", "int64"], fail);
  if (x.dims.length !== indices.dims.length) {
    fail(`ranks ${x.dims.length} and ${indices.dims.length} differ`);
  }
  const at = axisOf(axis, x.dims.length, fail);
  indices.dims.forEach((dim: Dim, i) => {
    // ONNX allows fewer indices than rows; more are an error where both are known.
    const own = x.dims[i]!;
    const wrong = typeof dim === "number" && typeof own === "number" ? dim > own : dim !== own;
    if (i !== at && wrong) fail(`dimension ${i} is ${own} in the data and ${dim} in the indices`);
  });
}

const gatherElementsOp = defineOp<{ readonly axis: number }>({
  name: "gatherElements",
  onnx: "GatherElements",
  shape([x, indices], { axis }, fail) {
    checkIndices(x!, indices!, axis, fail);
    return [{ dtype: x!.dtype, dims: indices!.dims }];
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  gradient: ([dy], [x, indices], _, { axis }) => [scatterAdded(x!, indices!, dy!, axis), undefined],
});

/** result[i][j] = x[i][indices[i][j]] for axis 1: the shape is that of the indices. */
export function gatherElements(x: Value, indices: Value, axis: number): Value {
  return applyOne(gatherElementsOp, [x, indices], { axis });
}

interface ScatterAttrs {
  readonly axis: number;
  readonly reduction: "none" | "add";
}

const scatterElementsOp = defineOp<ScatterAttrs>({
  name: "scatterElements",
  onnx: "ScatterElements",
  shape([x, indices, updates], { axis }, fail) {
    sameDType([x!, updates!], fail);
    checkIndices(x!, indices!, axis, fail);
    if (indices!.dims.join() !== updates!.dims.join()) {
      fail(
        `indices [${indices!.dims.join(", ")}] and updates [${updates!.dims.join(", ")}] differ`,
      );
    }
    return [x!];
  },
  attributes: ({ axis, reduction }) => ({
    axis: { int: axis },
    ...(reduction === "none" ? {} : { reduction: { string: reduction } }),
  }),
  gradient([dy], [, indices, updates], _, { axis, reduction }) {
    const kept =
      reduction === "add" ? dy : scatterElements(dy!, indices!, zerosLike(updates!), { axis });
    return [kept, undefined, gatherElements(dy!, indices!, axis)];
  },
});

/** x with updates written (or added) at indices along an axis: the inverse of `gatherElements`. */
export function scatterElements(
  x: Value,
  indices: Value,
  updates: Value,
  { axis, reduction = "none" }: { axis: number; reduction?: "none" | "add" },
): Value {
  return applyOne(scatterElementsOp, [x, indices, updates], { axis, reduction });
}
