/**
 * Ops that move elements without changing them.
 */
import { addDims, type Dim, divideDims, multiplyDims, subtractDims } from "../dims.ts";
import type { Value } from "../graph.ts";
import { int64Tensor, scalarTensor } from "../small-tensor.ts";
import { apply, applyOne, axisOf, broadcast, defineOp, type Fail, sameDType } from "../op.ts";
import { add, sub } from "./elementwise.ts";

const transposeOp = defineOp<{ readonly perm: readonly number[] }>({
  name: "transpose",
  onnx: "Transpose",
  shape([x], { perm }, fail) {
    const { dtype, dims } = x!;
    if ([...perm].sort((a, b) => a - b).join() !== [...dims.keys()].join()) {
      fail(`[${perm.join(", ")}] is not a permutation of ${dims.length} axes`);
    }
    return [{ dtype, dims: perm.map((axis) => dims[axis]!) }];
  },
  attributes: ({ perm }) => ({ perm: { ints: perm } }),
  gradient: ([dy], _, __, { perm }) => [
    transpose(
      dy!,
      perm.map((____, axis) => perm.indexOf(axis)),
    ),
  ],
});

/** Axis i of the result is axis perm[i] of x. */
export function transpose(x: Value, perm: readonly number[]): Value {
  return applyOne(transposeOp, [x], { perm });
}

const reshapeOp = defineOp<{ readonly dims: readonly Dim[] }>({
  name: "reshape",
  onnx: "Reshape",
  shape: ([x], { dims }, fail) => [{ dtype: x!.dtype, dims: reshapedDims(x!.dims, dims, fail) }],
  operands: ({ dims }) => [int64Tensor(dims as readonly number[])],
  gradient: ([dy], [x]) => [reshapeLike(dy!, x!)],
});

/**
 * The same elements in another shape. 0 keeps x's dimension at that place, one -1 is inferred; a name that stands
 * at its own place is kept, another name counts as the -1.
 */
export function reshape(x: Value, dims: readonly Dim[]): Value {
  const encoded = dims.map((dim, i) =>
    typeof dim === "number" ? dim : dim === x.dims[i] ? 0 : -1,
  );
  return applyOne(reshapeOp, [x], { dims: encoded });
}

function reshapedDims(from: readonly Dim[], to: readonly Dim[], fail: Fail): readonly Dim[] {
  if (to.filter((dim) => dim === -1).length > 1)
    fail(`[${to.join(", ")}] has two unknown dimensions`);
  const known = to.map((dim, i) => {
    if (dim !== 0) return dim;
    return from[i] ?? fail(`dimension ${i} is kept, but there are only ${from.length}`);
  });
  const rest = divideDims(
    from,
    known.filter((dim) => dim !== -1),
  );
  const target = `[${known.join(", ")}]`;
  if (rest === undefined) return fail(`${multiplyDims(from)} elements do not fit ${target}`);
  if (known.includes(-1)) return known.map((dim) => (dim === -1 ? rest : dim));
  if (rest !== 1) fail(`${multiplyDims(from)} elements do not fit ${target}`);
  return known;
}

const concatOp = defineOp<{ readonly axis: number }>({
  name: "concat",
  onnx: "Concat",
  shape(inputs, { axis }, fail) {
    const first = inputs[0]!.dims;
    const at = axisOf(axis, first.length, fail);
    for (const { dims } of inputs) {
      if (dims.length !== first.length) fail(`ranks ${first.length} and ${dims.length} differ`);
      dims.forEach((dim, i) => {
        if (i !== at && dim !== first[i])
          fail(`dimension ${i} is ${first[i]} in one and ${dim} in another`);
      });
    }
    const total = addDims(...inputs.map(({ dims }) => dims[at]!));
    return [
      { dtype: sameDType(inputs, fail), dims: first.map((dim, i) => (i === at ? total : dim)) },
    ];
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  gradient: ([dy], parts, _, { axis }) => splitLike(dy!, parts as readonly Value[], axis),
});

/** Tensors one after the other along an axis: ["past", 64] and ["tokens", 64] give ["past+tokens", 64]. */
export function concat(inputs: readonly Value[], axis: number): Value {
  return applyOne(concatOp, inputs, { axis });
}

const splitOp = defineOp<{ readonly sizes: readonly number[]; readonly axis: number }>({
  name: "split",
  onnx: "Split",
  shape([x], { sizes, axis }, fail) {
    const at = axisOf(axis, x!.dims.length, fail);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (x!.dims[at] !== total) fail(`sizes sum to ${total}, but dimension ${at} is ${x!.dims[at]}`);
    return sizes.map((size) => ({
      dtype: x!.dtype,
      dims: x!.dims.map((dim, i) => (i === at ? size : dim)),
    }));
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  operands: ({ sizes }) => [int64Tensor(sizes)],
  gradient: (dys, _, parts, { axis }) => [joined(dys, parts, axis)],
});

/** Consecutive parts of these sizes along an axis. */
export function split(x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  return apply(splitOp, [x], { sizes, axis });
}

const splitLikeOp = defineOp<{ readonly axis: number; readonly sizes: readonly Dim[] }>({
  name: "splitLike",
  onnx: "Split",
  shape: ([x], { axis, sizes }, fail) => {
    const at = axisOf(axis, x!.dims.length, fail);
    const total = addDims(...sizes);
    if (x!.dims[at] !== total) fail(`sizes sum to ${total}, but dimension ${at} is ${x!.dims[at]}`);
    return sizes.map((size) => ({
      dtype: x!.dtype,
      dims: x!.dims.map((dim, i) => (i === at ? size : dim)),
    }));
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  gradient: (dys, _, parts, { axis }) => [joined(dys, parts, axis)],
});

/** Consecutive parts along an axis, each as long as the value at its place in `likes`: undoes `concat`. */
export function splitLike(x: Value, likes: readonly Value[], axis: number): readonly Value[] {
  const at = axis < 0 ? axis + x.dims.length : axis;
  const sizes = likes.map(({ dims }) => dims[at]!);
  if (sizes.every((size) => typeof size === "number")) return split(x, sizes, at);
  const lengths = concat(
    likes.map((like) => dimOf(like, at)),
    0,
  );
  return apply(splitLikeOp, [x, lengths], { axis: at, sizes });
}

/** The gradient of what was split: those of the parts, zero where nothing flows. */
function joined(dys: readonly (Value | undefined)[], parts: readonly Value[], axis: number): Value {
  return concat(
    parts.map((part, i) => dys[i] ?? zerosLike(part)),
    axis,
  );
}

/** A range along one axis: [from, to); negative numbers count from the end; without `to`, up to the end. */
export interface SliceRange {
  readonly axis: number;
  readonly from?: number;
  readonly to?: number;
}

const sliceOp = defineOp<{
  readonly axis: number;
  readonly from: number;
  readonly to: number | undefined;
}>({
  name: "slice",
  onnx: "Slice",
  shape([x], { axis, from, to }, fail) {
    const at = axisOf(axis, x!.dims.length, fail);
    const dim = x!.dims[at]!;
    const start = from < 0 ? addDims(dim, from) : from;
    const end = to === undefined ? dim : to < 0 ? addDims(dim, to) : to;
    const length = subtractDims(end, start);
    const outside =
      typeof dim === "number" && [start, end].some((i) => (i as number) < 0 || (i as number) > dim);
    if (outside || (typeof length === "number" && length < 0)) {
      fail(`[${from}, ${to ?? "end"}) is not a range of dimension ${at}, which is ${dim}`);
    }
    return [{ dtype: x!.dtype, dims: x!.dims.map((d, i) => (i === at ? length : d)) }];
  },
  operands: ({ axis, from, to }) => [
    int64Tensor([from]),
    int64Tensor([to ?? 2 ** 53 - 1]),
    int64Tensor([axis]),
  ],
  gradient([dy], [x], _, { axis, from, to }) {
    const dim = x!.dims.at(axis)!;
    const toEnd = (at: number) => (typeof dim === "number" ? dim - at : sub(dimOf(x!, axis), at));
    const before = from < 0 ? toEnd(-from) : from;
    const after = to === undefined ? 0 : to < 0 ? -to : toEnd(to);
    return [padTo(dy!, axis, { before, after }, dim)];
  },
});

/** The elements of a range along one axis. On a symbolic dimension the range must lie inside it at every run. */
export function slice(x: Value, { axis, from = 0, to }: SliceRange): Value {
  return applyOne(sliceOp, [x], { axis, from, to });
}

const sliceAtOp = defineOp<{ readonly axis: number; readonly length: Dim }>({
  name: "sliceAt",
  onnx: "Slice",
  shape([x], { axis, length }, fail) {
    const at = axisOf(axis, x!.dims.length, fail);
    return [{ dtype: x!.dtype, dims: x!.dims.map((dim, i) => (i === at ? length : dim)) }];
  },
  operands: ({ axis }) => [int64Tensor([axis])],
  gradient([dy], [x, from, to], _, { axis }) {
    const after = sub(dimOf(x!, axis), to!);
    return [padTo(dy!, axis, { before: from!, after }, x!.dims.at(axis)!)];
  },
});

/** A range of known (perhaps symbolic) length whose ends, int64 [1], are computed in the graph. */
export function sliceAt(
  x: Value,
  axis: number,
  ends: { from: Value; to: Value },
  length: Dim,
): Value {
  return applyOne(sliceAtOp, [x, ends.from, ends.to], { axis, length });
}

const padOp = defineOp<{ readonly axis: number; readonly length: Dim }>({
  name: "pad",
  onnx: "Pad",
  shape: ([x], { axis, length }) => [
    { dtype: x!.dtype, dims: x!.dims.map((dim, i) => (i === axis ? length : dim)) },
  ],
  operands: ({ axis }) => [undefined, int64Tensor([axis])],
  gradient([dy], [x, ends], _, { axis }) {
    const from = slice(ends!, { axis: 0, to: 1 });
    return [sliceAt(dy!, axis, { from, to: add(from, dimOf(x!, axis)) }, x!.dims[axis]!)];
  },
});

/** x with so many zeros before and after it along an axis that it gets this length; int64 [1] where computed. */
export function padTo(
  x: Value,
  axis: number,
  { before, after }: { readonly before: number | Value; readonly after: number | Value },
  length: Dim,
): Value {
  const value = (n: number | Value) =>
    typeof n === "number" ? x.graph.constant(int64Tensor([n])) : n;
  const ends =
    typeof before === "number" && typeof after === "number"
      ? x.graph.constant(int64Tensor([before, after]))
      : concat([value(before), value(after)], 0);
  const at = axis < 0 ? axis + x.dims.length : axis;
  return applyOne(padOp, [x, ends], { axis: at, length });
}

const dimOfOp = defineOp<{ readonly axis: number }>({
  name: "dimOf",
  onnx: "Shape",
  shape([x], { axis }, fail) {
    axisOf(axis, x!.dims.length, fail);
    return [{ dtype: "int64", dims: [1] }];
  },
  attributes: ({ axis }) => ({
    start: { int: axis },
    ...(axis === -1 ? {} : { end: { int: axis + 1 } }),
  }),
});

/** The size of one axis at run time, int64 [1]. */
export function dimOf(x: Value, axis: number): Value {
  return applyOne(dimOfOp, [x], { axis });
}

const expandOp = defineOp<{ readonly dims: readonly Dim[] }>({
  name: "expand",
  onnx: "Expand",
  shape([x], { dims }, fail) {
    return [{ dtype: x!.dtype, dims: broadcast([x!.dims, dims], fail) }];
  },
  // 1 keeps x's own dimension, which is all that a name can mean here.
  operands: ({ dims }) => [int64Tensor(dims.map((dim) => (typeof dim === "number" ? dim : 1)))],
  gradient: ([dy]) => [dy],
});

const expandLikeOp = defineOp<{ readonly dims: readonly Dim[] }>({
  name: "expandLike",
  onnx: "Expand",
  shape([x], { dims }, fail) {
    return [{ dtype: x!.dtype, dims: broadcast([x!.dims, dims], fail) }];
  },
  gradient: ([dy]) => [dy],
});

const shapeOfOp = defineOp({
  name: "shapeOf",
  onnx: "Shape",
  shape: ([x]) => [{ dtype: "int64", dims: [x!.dims.length] }],
});

/** x repeated along its dimensions of 1 to `dims`; a name may only keep what x has (else use `expandLike`). */
export function expand(x: Value, dims: readonly Dim[]): Value {
  dims.forEach((dim, i) => {
    const own = x.dims[x.dims.length - dims.length + i];
    if (typeof dim === "string" && dim !== own) {
      throw new Error(`expand in ${x.graph.name}: ${dim} is not a dimension of x; use expandLike`);
    }
  });
  return applyOne(expandOp, [x], { dims });
}

/** x repeated to the shape that `like` has at run time. */
export function expandLike(x: Value, like: Value): Value {
  return applyOne(expandLikeOp, [x, applyOne(shapeOfOp, [like], {})], { dims: like.dims });
}

/** Zeros of the shape and element type of `like`. */
export function zerosLike(like: Value): Value {
  return expandLike(like.graph.constant(scalarTensor(0, like.dtype)), like);
}

const reshapeLikeOp = defineOp<{ readonly dims: readonly Dim[] }>({
  name: "reshapeLike",
  onnx: "Reshape",
  shape([x], { dims }, fail) {
    if (multiplyDims(x!.dims) !== multiplyDims(dims)) {
      fail(`${multiplyDims(x!.dims)} elements do not fit [${dims.join(", ")}]`);
    }
    return [{ dtype: x!.dtype, dims }];
  },
  gradient: ([dy], [x]) => [reshapeLike(dy!, x!)],
});

/** The elements of x in the shape of `like`; that shape is computed only where it has two names out of their places. */
export function reshapeLike(x: Value, like: Value): Value {
  const moved = like.dims.filter((dim, i) => typeof dim === "string" && dim !== x.dims[i]);
  if (moved.length <= 1) return reshape(x, like.dims);
  return applyOne(reshapeLikeOp, [x, applyOne(shapeOfOp, [like], {})], { dims: like.dims });
}

const unsqueezeOp = defineOp<{ readonly axes: readonly number[] }>({
  name: "unsqueeze",
  onnx: "Unsqueeze",
  shape([x], { axes }, fail) {
    const rank = x!.dims.length + axes.length;
    const at = new Set(axes.map((axis) => axisOf(axis, rank, fail)));
    const rest = x!.dims.values();
    const dims = Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : rest.next().value!));
    return [{ dtype: x!.dtype, dims }];
  },
  operands: ({ axes }) => [int64Tensor(axes)],
  gradient: ([dy], _, __, { axes }) => [squeeze(dy!, axes)],
});

/** x with dimensions of 1 at these axes of the result. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  return applyOne(unsqueezeOp, [x], { axes });
}

const squeezeOp = defineOp<{ readonly axes: readonly number[] }>({
  name: "squeeze",
  onnx: "Squeeze",
  shape([x], { axes }, fail) {
    const at = new Set(axes.map((axis) => axisOf(axis, x!.dims.length, fail)));
    for (const axis of at)
      if (x!.dims[axis] !== 1) fail(`dimension ${axis} is ${x!.dims[axis]}, not 1`);
    return [{ dtype: x!.dtype, dims: x!.dims.filter((_, i) => !at.has(i)) }];
  },
  operands: ({ axes }) => [int64Tensor(axes)],
  gradient: ([dy], _, __, { axes }) => [unsqueeze(dy!, axes)],
});

/** x without these axes, which must be 1. */
export function squeeze(x: Value, axes: readonly number[]): Value {
  return applyOne(squeezeOp, [x], { axes });
}
