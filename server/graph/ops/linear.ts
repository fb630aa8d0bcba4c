/**
 * Matrix products.
 */
import type { Dim } from "../dims.ts";
import type { Value } from "../graph.ts";
import { applyOne, broadcast, defineOp, type Fail, sameDType } from "../op.ts";

const matmulOp = defineOp({
  name: "matmul",
  onnx: "MatMul",
  shape([a, b], _, fail) {
    const dtype = sameDType([a!, b!], fail);
    return [{ dtype, dims: matmulDims(a!.dims, b!.dims, fail) }];
  },
});

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
});

/** alpha·a·b + beta·c for matrices: [n, k] × [k, m] + c → [n, m], c broadcast. */
export function gemm(a: Value, b: Value, c?: Value, options: GemmOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1, beta = 1 } = options;
  return applyOne(gemmOp, c ? [a, b, c] : [a, b], { transA, transB, alpha, beta });
}
