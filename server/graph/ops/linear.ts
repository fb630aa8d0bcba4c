/**
 * Matrix products.
 */
import type { Dim } from "../dims.ts";
import type { Value } from "../graph.ts";
import { applyOne, broadcast, defineOp, type Fail, sameDType } from "../op.ts";
import { mul } from "./elementwise.ts";
import { reduceSum } from "./reduce.ts";
import { reshape, transpose, unsqueeze } from "./shape.ts";

const matmulOp = defineOp({
  name: "matmul",
  onnx: "MatMul",
  shape([a, b], _, fail) {
    const dtype = sameDType([a!, b!], fail);
    return [{ dtype, dims: matmulDims(a!.dims, b!.dims, fail) }];
  },
  gradient: ([dy], [a, b]) => matmulGradients(dy!, a!, b!),
});

function matmulGradients(dy: Value, a: Value, b: Value): readonly Value[] {
  if (b.dims.length === 1) {
    const column = unsqueeze(dy, [-1]);
    if (a.dims.length === 1) return [mul(column, b), mul(column, a)];
    return [mul(column, b), reduceSum(mul(column, a), axesBefore(a, 1))];
  }
  if (a.dims.length === 1) {
    const row = unsqueeze(dy, [-2]);
    const da = reduceSum(mul(b, row), [...axesBefore(b, 2), b.dims.length - 1]);
    return [da, mul(unsqueeze(a, [-1]), row)];
  }
  if (a.dims.length === 2 && b.dims.length === 2) {
    const da = gemm(dy, b, undefined, { transB: true });
    return [da, gemm(a, dy, undefined, { transA: true })];
  }
  const da = matmul(dy, swapped(b));
  if (b.dims.length > 2) return [da, matmul(swapped(a), dy)];
  // One matrix for a batch: one product over all rows, not a sum of products.
  const rows = reshape(a, [-1, a.dims.at(-1)!]);
  return [da, gemm(rows, reshape(dy, [-1, dy.dims.at(-1)!]), undefined, { transA: true })];
}

/** All axes but the last `n`. */
function axesBefore({ dims }: Value, n: number): number[] {
  return [...dims.keys()].slice(0, -n);
}

/** The last two axes exchanged. */
function swapped(x: Value): Value {
  const axes = [...x.dims.keys()];
  return transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]);
}

/** Matrix product with numpy's rules: [..., n, k] × [..., k, m] → [..., n, m], leading dimensions broadcast. */
export function matmul(a: Value, b: Value): Value {
  return applyOne(matmulOp, [a, b], {});
}

function matmulDims(a: readonly Dim[], b: readonly Dim[], fail: Fail): readonly Dim[] {
  if (a.length === 0 || b.length === 0) fail("a scalar has no matrix product");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  const inner = [left.at(-1)!, right.at(-2)!] as const;
  if (inner[0] !== inner[1]) {
    fail(`inner dimension is ${inner[0]} on the left and ${inner[1]} on the right`);
  }
  return [
    ...broadcast([left.slice(0, -2), right.slice(0, -2)], fail),
    ...(a.length === 1 ? [] : [left.at(-2)!]),
    ...(b.length === 1 ? [] : [right.at(-1)!]),
  ];
}

/** Which operands of `gemm` are transposed, and its two factors. */
export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
  readonly beta?: number;
}

const gemmOp = defineOp<Required<GemmOptions>>({
  name: "gemm",
  onnx: "Gemm",
  shape([a, b, c], { transA, transB }, fail) {
    if (a!.dims.length !== 2 || b!.dims.length !== 2) fail("both factors must be matrices");
    const [n, k] = transA ? [a!.dims[1]!, a!.dims[0]!] : [a!.dims[0]!, a!.dims[1]!];
    const [k2, m] = transB ? [b!.dims[1]!, b!.dims[0]!] : [b!.dims[0]!, b!.dims[1]!];
    if (k !== k2) fail(`inner dimension is ${k} on the left and ${k2} on the right`);
    const dims: Dim[] = [n, m];
    if (c && broadcast([dims, c.dims], fail).join() !== dims.join()) {
      fail(`the added term [${c.dims.join(", ")}] does not stretch to [${dims.join(", ")}]`);
    }
    return [{ dtype: sameDType(c ? [a!, b!, c] : [a!, b!], fail), dims }];
  },
  attributes: ({ transA, transB, alpha, beta }) => ({
    ...(transA ? { transA: { int: 1 } } : {}),
    ...(transB ? { transB: { int: 1 } } : {}),
    ...(alpha === 1 ? {} : { alpha: { float: alpha } }),
    ...(beta === 1 ? {} : { beta: { float: beta } }),
  }),
  gradient: ([dy], [a, b, c], _, options) => gemmGradients(dy!, [a!, b!, c], options),
});

/** Products with the other factor, its transposition as the flags of the original ask for. */
function gemmGradients(
  dy: Value,
  [a, b, c]: readonly [Value, Value, Value | undefined],
  { transA, transB, alpha, beta }: Required<GemmOptions>,
): readonly (Value | undefined)[] {
  const product = (x: Value, y: Value, transX: boolean, transY: boolean) =>
    gemm(x, y, undefined, { transA: transX, transB: transY, alpha });
  return [
    transA ? product(b, dy, transB, true) : product(dy, b, false, !transB),
    transB ? product(dy, a, true, transA) : product(a, dy, !transA, false),
    c && (beta === 1 ? dy : mul(dy, beta)),
  ];
}

/** alpha·a·b + beta·c for matrices: [n, k] × [k, m] + c → [n, m], c broadcast. */
export function gemm(a: Value, b: Value, c?: Value, options: GemmOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1, beta = 1 } = options;
  return applyOne(gemmOp, c ? [a, b, c] : [a, b], { transA, transB, alpha, beta });
}
