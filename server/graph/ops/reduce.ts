/**
 * Ops that summarise along axes, and softmax.
 */
import { type DType, sizeOf } from "../../tensor/tensor.ts";
import { type Dim } from "../dims.ts";
import type { Value } from "../graph.ts";
import { int64Tensor, scalarTensor } from "../small-tensor.ts";
import { apply, applyOne, axisOf, defineOp, expectDType, type Fail, type Op } from "../op.ts";
import { add, cast, div, equal, exp, log, mul, stopGradient, sub } from "./elementwise.ts";
import { scatterElements } from "./indexing.ts";
import { dimOf, squeeze, unsqueeze, zerosLike } from "./shape.ts";

interface ReduceAttrs {
  readonly axes: readonly number[];
  readonly keep: boolean;
}

/** Gradient of a summary along axes: from dy and y with these axes as dimensions of 1, and x, to dx. */
type ReduceRule = (dy: Value, x: Value, y: Value, axes: readonly number[]) => Value;

function reduce(name: string, onnx: string, rule: ReduceRule): Op<ReduceAttrs> {
  return defineOp<ReduceAttrs>({
    name,
    onnx,
    gradient([dy], [x], [y], { axes, keep }) {
      const at = axes.map((axis) => (axis < 0 ? axis + x!.dims.length : axis));
      const kept = (value: Value) => (keep || at.length === 0 ? value : unsqueeze(value, at));
      return [rule(kept(dy!), x!, kept(y!), at)];
    },
    shape: ([x], { axes, keep }, fail) => [
      { dtype: x!.dtype, dims: reducedDims(x!.dims, axes, keep, fail) },
    ],
    attributes: ({ keep }) => ({ keepdims: { int: keep ? 1 : 0 } }),
    operands: ({ axes }) => [int64Tensor(axes)],
  });
}

function reducedDims(
  dims: readonly Dim[],
  axes: readonly number[],
  keep: boolean,
  fail: Fail,
): readonly Dim[] {
  const at = new Set(axes.map((axis) => axisOf(axis, dims.length, fail)));
  return keep ? dims.map((dim, i) => (at.has(i) ? 1 : dim)) : dims.filter((_, i) => !at.has(i));
}

// What is returned is stretched to x's shape where somebody needs it (`Op.elementwise`).
const reduceSumOp = reduce("reduceSum", "ReduceSum", (dy) => dy);
const reduceMeanOp = reduce("reduceMean", "ReduceMean", (dy, x, _, axes) => {
  const known = axes.map((axis) => x.dims[axis]!).filter((size) => typeof size === "number");
  const scaled = known.length === 0 ? dy : mul(dy, 1 / sizeOf(known));
  return axes
    .filter((axis) => typeof x.dims[axis] === "string")
    .reduce((sum, axis) => div(sum, cast(dimOf(x, axis), x.dtype)), scaled);
});
const reduceMaxOp = reduce("reduceMax", "ReduceMax", (dy, x, y, axes) => {
  // Equal largest elements share, as in torch's amax.
  const isMax = cast(equal(x, y), x.dtype);
  return mul(isMax, div(dy, reduceSum(isMax, axes, true)));
});

/** Sum along axes; `keep` leaves them as dimensions of 1. */
export function reduceSum(x: Value, axes: readonly number[], keep = false): Value {
  return applyOne(reduceSumOp, [x], { axes, keep });
}

/** Mean along axes; `keep` leaves them as dimensions of 1. */
export function reduceMean(x: Value, axes: readonly number[], keep = false): Value {
  return applyOne(reduceMeanOp, [x], { axes, keep });
}

/** Maximum along axes; `keep` leaves them as dimensions of 1. */
export function reduceMax(x: Value, axes: readonly number[], keep = false): Value {
  return applyOne(reduceMaxOp, [x], { axes, keep });
}

const argmaxOp = defineOp<{ readonly axis: number; readonly keep: boolean }>({
  name: "argmax",
  onnx: "ArgMax",
  shape: ([x], { axis, keep }, fail) => [
    { dtype: "int64", dims: reducedDims(x!.dims, [axis], keep, fail) },
  ],
  attributes: ({ axis, keep }) => ({ axis: { int: axis }, keepdims: { int: keep ? 1 : 0 } }),
});

/** Index of the largest element along an axis, the first of equal ones. */
export function argmax(x: Value, axis = -1, keep = false): Value {
  return applyOne(argmaxOp, [x], { axis, keep });
}

const softmaxOp = defineOp<{ readonly axis: number }>({
  name: "softmax",
  onnx: "Softmax",
  shape([x], { axis }, fail) {
    expectDType(x!, ["float32", "float64", "float16"], fail);
    axisOf(axis, x!.dims.length, fail);
    return [x!];
  },
  attributes: ({ axis }) => ({ axis: { int: axis } }),
  gradient([dy], _, [y], { axis }) {
    const weighted = mul(dy!, y!);
    return [sub(weighted, mul(y!, reduceSum(weighted, [axis], true)))];
  },
});

/** e^x / Σ e^x along an axis. */
export function softmax(x: Value, axis = -1): Value {
  return applyOne(softmaxOp, [x], { axis });
}

/** log Σ e^x along an axis, computed from the distance to the maximum. */
export function logsumexp(x: Value, axis = -1, keep = false): Value {
  // The maximum cancels out of value and gradient.
  const top = stopGradient(reduceMax(x, [axis], true));
  const result = add(top, log(reduceSum(exp(sub(x, top)), [axis], true)));
  return keep ? result : squeeze(result, [axis]);
}

/** x − log Σ e^x along an axis. Spelled out: ONNX's LogSoftmax has no WebGPU kernel. */
export function logSoftmax(x: Value, axis = -1): Value {
  return sub(x, logsumexp(x, axis, true));
}

interface CumsumAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const cumsumOp = defineOp<CumsumAttrs>({
  name: "cumsum",
  onnx: "CumSum",
  shape([x], { axis }, fail) {
    axisOf(axis, x!.dims.length, fail);
    return [x!];
  },
  attributes: ({ exclusive, reverse }) => ({
    exclusive: { int: exclusive ? 1 : 0 },
    reverse: { int: reverse ? 1 : 0 },
  }),
  operands: ({ axis }) => [scalarTensor(axis, "int64")],
  gradient: ([dy], _, __, { axis, exclusive, reverse }) => [
    cumsum(dy!, axis, { exclusive, reverse: !reverse }),
  ],
});

/** Running sums along an axis; `exclusive` leaves the element itself out. */
export function cumsum(
  x: Value,
  axis: number,
  options: { exclusive?: boolean; reverse?: boolean } = {},
): Value {
  const { exclusive = false, reverse = false } = options;
  return applyOne(cumsumOp, [x], { axis, exclusive, reverse });
}

interface TopkAttrs {
  readonly k: Dim;
  readonly axis: number;
  readonly largest: boolean;
  readonly sorted: boolean;
}

const topkOp = defineOp<TopkAttrs>({
  name: "topk",
  onnx: "TopK",
  shape([x, count], { k, axis }, fail) {
    expectDType(count!, ["int64"], fail);
    const at = axisOf(axis, x!.dims.length, fail);
    const dim = x!.dims[at]!;
    if (typeof k === "number" && typeof dim === "number" && k > dim) {
      fail(`k is ${k}, but dimension ${at} is ${dim}`);
    }
    const dims = x!.dims.map((d, i) => (i === at ? k : d));
    const indices: DType = "int64";
    return [
      { dtype: x!.dtype, dims },
      { dtype: indices, dims },
    ];
  },
  attributes: ({ axis, largest, sorted }) => ({
    axis: { int: axis },
    largest: { int: largest ? 1 : 0 },
    sorted: { int: sorted ? 1 : 0 },
  }),
  gradient: ([dy], [x], [, indices], { axis }) => [
    dy && scatterElements(zerosLike(x!), indices!, dy, { axis }),
    undefined,
  ],
});

/** How `topk` selects; `kDim` names the result's dimension when k is a value. */
export interface TopkOptions {
  readonly axis?: number;
  readonly largest?: boolean;
  readonly sorted?: boolean;
  readonly kDim?: Dim;
}

/** The k largest elements along an axis and their indices (int64). k: a number, or an int64 value of shape [1]. */
export function topk(
  x: Value,
  k: Value | number,
  { axis = -1, largest = true, sorted = true, kDim = "k" }: TopkOptions = {},
): { values: Value; indices: Value } {
  const count = typeof k === "number" ? x.graph.constant(int64Tensor([k])) : k;
  const attrs = { k: typeof k === "number" ? k : kDim, axis, largest, sorted };
  const [values, indices] = apply(topkOp, [x, count], attrs);
  return { values: values!, indices: indices! };
}
