import { describe, expect, test } from "vitest";
import type { Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { checkOp, randomTensor, runOp } from "./check-op.ts";

const f32 = (dims: number[], ...values: number[]) =>
  tensor("float32", dims, new Float32Array(values));
const i64 = (dims: number[], ...values: number[]) =>
  tensor("int64", dims, BigInt64Array.from(values, BigInt));
const i32 = (dims: number[], ...values: number[]) => tensor("int32", dims, Int32Array.from(values));
const numbers = (x: Tensor): number[] => Array.from(x.data as ArrayLike<number>, Number);

/** Rows of the last axis. */
function rows(x: Tensor): number[][] {
  const width = x.dims.at(-1)!;
  const all = numbers(x);
  return Array.from({ length: all.length / width }, (_, i) =>
    all.slice(i * width, (i + 1) * width),
  );
}
const perRow = (f: (row: number[]) => number | number[]) => (x: Tensor) => rows(x).map(f).flat();
const sum = (row: number[]) => row.reduce((a, b) => a + b, 0);
const mean = (row: number[]) => sum(row) / row.length;
const logsumexp = (row: number[]) => Math.log(sum(row.map(Math.exp)));
const softmax = (row: number[]) => row.map((v) => Math.exp(v) / sum(row.map(Math.exp)));
const turn = (x: Tensor) => rows(x)[0]!.flatMap((_, j) => rows(x).map((row) => row[j]!));
const sliceOfThree = (x: Value, from: Value, to: Value) => op.sliceAt(x, 1, { from, to }, 3);
const threeSmallest = (v: Value, k: Value) =>
  Object.values(op.topk(v, k, { largest: false, kDim: "k" }));

/** [n, k] × [k, m] by the definition. */
function product(a: number[], b: number[], [n, k, m]: [number, number, number]): number[] {
  return Array.from({ length: n * m }, (_, at) => {
    const [i, j] = [Math.floor(at / m), at % m];
    return sum(Array.from({ length: k }, (_, l) => a[i * k + l]! * b[l * m + j]!));
  });
}

describe("matrix products", () => {
  test("matmul", () =>
    checkOp(
      [
        [2, 3],
        [3, 4],
      ],
      op.matmul,
      (a, b) => product(numbers(a), numbers(b), [2, 3, 4]),
    ));
  test("matmul, batched", () =>
    checkOp(
      [
        [2, 2, 3],
        [2, 3, 4],
      ],
      op.matmul,
      (a, b) => [
        ...product(numbers(a).slice(0, 6), numbers(b).slice(0, 12), [2, 3, 4]),
        ...product(numbers(a).slice(6), numbers(b).slice(12), [2, 3, 4]),
      ],
    ));
  test("matmul, one matrix for a batch", () =>
    checkOp(
      [
        [2, 2, 3],
        [3, 4],
      ],
      op.matmul,
      (a, b) => product(numbers(a), numbers(b), [4, 3, 4]),
    ));
  test("matmul with a vector", () =>
    checkOp([[2, 3], [3]], op.matmul, (a, b) => product(numbers(a), numbers(b), [2, 3, 1])));
  test("vector times matrix", () =>
    checkOp([[3], [3, 4]], op.matmul, (a, b) => product(numbers(a), numbers(b), [1, 3, 4])));
  test("gemm", () =>
    checkOp(
      [[2, 3], [3, 4], [4]],
      (a, b, c) => op.gemm(a, b, c),
      (a, b, c) => product(numbers(a), numbers(b), [2, 3, 4]).map((v, i) => v + numbers(c)[i % 4]!),
    ));
  test("gemm, transposed and scaled", () => {
    return checkOp(
      [
        [3, 2],
        [4, 3],
        [2, 1],
      ],
      (a, b, c) => op.gemm(a, b, c, { transA: true, transB: true, alpha: 0.5, beta: -2 }),
      (a, b, c) =>
        product(turn(a), turn(b), [2, 3, 4]).map((v, i) => v / 2 - 2 * numbers(c)[i >> 2]!),
    );
  });
});

describe("moving elements", () => {
  test("transpose", () =>
    checkOp(
      [[2, 3]],
      (x) => op.transpose(x, [1, 0]),
      (x) => [0, 3, 1, 4, 2, 5].map((i) => numbers(x)[i]!),
    ));
  test("reshape", () => checkOp([[2, 6]], (x) => op.reshape(x, [0, 2, -1]), numbers));
  test("reshape to a scalar", () => checkOp([[1, 1]], (x) => op.reshape(x, []), numbers));
  test("concat", () =>
    checkOp(
      [
        [2, 1],
        [2, 2],
      ],
      (a, b) => op.concat([a, b], 1),
      (a, b) => rows(a).flatMap((row, i) => [...row, ...rows(b)[i]!]),
    ));
  test("slice", () =>
    checkOp(
      [[2, 5]],
      (x) => op.slice(x, { axis: 1, from: 1, to: 4 }),
      perRow((r) => r.slice(1, 4)),
    ));
  test("slice from the end", () =>
    checkOp(
      [[2, 5]],
      (x) => op.slice(x, { axis: -1, from: -2 }),
      perRow((r) => r.slice(-2)),
    ));
  test("sliceAt", () => {
    return checkOp([[2, 5], i64([1], 1), i64([1], 4)], sliceOfThree, (x) =>
      rows(x).flatMap((r) => r.slice(1, 4)),
    );
  });
  test("dimOf", () =>
    checkOp(
      [[2, 5, 3]],
      (x) => op.dimOf(x, 1),
      () => [5],
      { dtype: "int64" },
    ));
  test("dimOf the last axis", () =>
    checkOp(
      [[2, 5, 3]],
      (x) => op.dimOf(x, -1),
      () => [3],
    ));
  test("expand", () =>
    checkOp(
      [[2, 1]],
      (x) => op.expand(x, [2, 3]),
      perRow(([v]) => [v!, v!, v!]),
    ));
  test("expandLike", () =>
    checkOp(
      [
        [1, 3],
        [2, 3],
      ],
      op.expandLike,
      (x) => [...numbers(x), ...numbers(x)],
    ));
  test("unsqueeze", () => checkOp([[2, 3]], (x) => op.unsqueeze(x, [0, -1]), numbers));
  test("squeeze", () => checkOp([[2, 1, 3, 1]], (x) => op.squeeze(x, [1, -1]), numbers));
  test("split", async () => {
    const x = randomTensor([2, 5]);
    const { outputs, values } = await runOp([x], (v) => op.split(v, [2, 3], 1));
    expect(values.map(({ dims }) => dims)).toEqual([
      [2, 2],
      [2, 3],
    ]);
    expect(numbers(outputs[0]!)).toEqual(rows(x).flatMap((r) => r.slice(0, 2)));
    expect(numbers(outputs[1]!)).toEqual(rows(x).flatMap((r) => r.slice(2)));
  });
});

describe("summaries", () => {
  test("reduceSum", () => checkOp([[3, 5]], (x) => op.reduceSum(x, [1]), perRow(sum)));
  test("reduceSum, axis kept", () =>
    checkOp([[3, 5]], (x) => op.reduceSum(x, [-1], true), perRow(sum)));
  test("reduceSum over all", () =>
    checkOp(
      [[3, 5]],
      (x) => op.reduceSum(x, [0, 1]),
      (x) => [sum(numbers(x))],
    ));
  test("reduceMean", () => checkOp([[3, 5]], (x) => op.reduceMean(x, [1]), perRow(mean)));
  test("reduceMax", () =>
    checkOp(
      [[3, 5]],
      (x) => op.reduceMax(x, [1]),
      perRow((r) => Math.max(...r)),
    ));
  test("argmax", () =>
    checkOp(
      [[3, 5]],
      (x) => op.argmax(x),
      perRow((r) => r.indexOf(Math.max(...r))),
    ));
  test("softmax", () => checkOp([[3, 5]], (x) => op.softmax(x), perRow(softmax)));
  test("logSoftmax", () =>
    checkOp(
      [[3, 5]],
      (x) => op.logSoftmax(x),
      perRow((r) => r.map((v) => v - logsumexp(r))),
    ));
  test("logsumexp", () => checkOp([[3, 5]], (x) => op.logsumexp(x), perRow(logsumexp)));
  test("logsumexp of large numbers", () =>
    checkOp(
      [f32([1, 2], 1000, 1000)],
      (x) => op.logsumexp(x),
      () => [1000 + Math.LN2],
    ));
  test("cumsum", () =>
    checkOp(
      [[3, 5]],
      (x) => op.cumsum(x, 1),
      perRow((r) => r.map((_, i) => sum(r.slice(0, i + 1)))),
    ));
  test("cumsum, exclusive and reverse", () =>
    checkOp(
      [[3, 5]],
      (x) => op.cumsum(x, 1, { exclusive: true, reverse: true }),
      perRow((r) => r.map((_, i) => sum(r.slice(i + 1)))),
    ));
  test("layerNorm", () =>
    checkOp(
      [[3, 8], [8], [8]],
      (x, w, b) => op.layerNorm(x, w, b, 1e-5),
      (x, w, b) =>
        rows(x).flatMap((r) => {
          const variance = mean(r.map((v) => (v - mean(r)) ** 2));
          return r.map(
            (v, i) =>
              ((v - mean(r)) / Math.sqrt(variance + 1e-5)) * numbers(w)[i]! + numbers(b)[i]!,
          );
        }),
    ));
  test("rmsNorm", () =>
    checkOp(
      [[3, 8], [8]],
      (x, w) => op.rmsNorm(x, w, 1e-5),
      (x, w) =>
        rows(x).flatMap((r) =>
          r.map((v, i) => (v / Math.sqrt(mean(r.map((u) => u * u)) + 1e-5)) * numbers(w)[i]!),
        ),
    ));
});

describe("by index", () => {
  const table = f32([3, 2], 1, 2, 3, 4, 5, 6);
  test("gather", () =>
    checkOp(
      [table, i64([3], 2, 0, 2)],
      (x, i) => op.gather(x, i),
      () => [5, 6, 1, 2, 5, 6],
    ));
  test("gather, int32, last axis", () =>
    checkOp(
      [table, i32([1], 1)],
      (x, i) => op.gather(x, i, -1),
      () => [2, 4, 6],
    ));
  test("gatherElements", () =>
    checkOp(
      [table, i64([3, 1], 1, 0, 1)],
      (x, i) => op.gatherElements(x, i, 1),
      () => [2, 3, 6],
    ));
  test("scatterElements", () =>
    checkOp(
      [table, i64([3, 1], 1, 0, 1), f32([3, 1], 7, 8, 9)],
      (x, i, u) => op.scatterElements(x, i, u, { axis: 1 }),
      () => [1, 7, 8, 4, 5, 9],
    ));
  test("scatterElements, added", () =>
    checkOp(
      [table, i64([3, 2], 1, 1, 0, 0, 1, 0), f32([3, 2], 1, 1, 1, 1, 1, 1)],
      (x, i, u) => op.scatterElements(x, i, u, { axis: 1, reduction: "add" }),
      () => [1, 4, 5, 4, 6, 7],
    ));
  test("topk", async () => {
    const x = f32([2, 4], 1, 9, 3, 7, -5, -2, -8, -1);
    const { outputs } = await runOp([x], (v) => Object.values(op.topk(v, 2)));
    expect(numbers(outputs[0]!)).toEqual([9, 7, -1, -2]);
    expect(numbers(outputs[1]!)).toEqual([1, 3, 3, 1]);
  });
  test("topk with k as an input, smallest", async () => {
    const x = f32([2, 4], 1, 9, 3, 7, -5, -2, -8, -1);
    const { outputs, values } = await runOp([x, i64([1], 3)], threeSmallest);
    expect(values[0]!.dims).toEqual([2, "k"]);
    expect(numbers(outputs[0]!)).toEqual([1, 3, 7, -8, -5, -2]);
  });
});
