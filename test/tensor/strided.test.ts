import { expect, test } from "vitest";
import {
  columnMajorStrides,
  denseTensor,
  isDense,
  rowMajorStrides,
} from "../../server/tensor/strided.ts";

test("strides of both orders", () => {
  expect(rowMajorStrides([2, 3, 4])).toEqual([12, 4, 1]);
  expect(columnMajorStrides([2, 3, 4])).toEqual([1, 2, 6]);
  expect(rowMajorStrides([])).toEqual([]);
});

test("a dense view shares memory, whatever the strides of its length-1 dimensions", () => {
  const data = Float32Array.of(0, 1, 2, 3, 4, 5);
  const t = denseTensor({
    dtype: "float32",
    data,
    offset: 2,
    dims: [1, 2, 2],
    strides: [99, 2, 1],
  });
  expect(t.data.buffer).toBe(data.buffer);
  expect([...t.data]).toEqual([2, 3, 4, 5]);
  expect(isDense({ dims: [2, 2], strides: [1, 2] })).toBe(false);
});

test("every permutation of a tensor wider than a tile copies element by element", () => {
  const dims = [3, 37, 2, 41];
  const data = Int32Array.from({ length: 3 * 37 * 2 * 41 }, (_, i) => i);
  const strides = rowMajorStrides(dims);
  for (const order of permutations([0, 1, 2, 3])) {
    const permuted = order.map((axis) => dims[axis]!);
    const view = { offset: 0, dims: permuted, strides: order.map((axis) => strides[axis]!) };
    const out = denseTensor({ dtype: "int32", data, ...view }).data;
    let wrong = 0;
    let to = 0;
    for (let a = 0; a < permuted[0]!; a++)
      for (let b = 0; b < permuted[1]!; b++)
        for (let c = 0; c < permuted[2]!; c++)
          for (let d = 0; d < permuted[3]!; d++) {
            const [s0, s1, s2, s3] = view.strides as [number, number, number, number];
            if (out[to++] !== a * s0 + b * s1 + c * s2 + d * s3) wrong++;
          }
    expect({ order, wrong, to }).toEqual({ order, wrong: 0, to: data.length });
  }
});

function permutations(items: number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) =>
    permutations(items.filter((it) => it !== item)).map((rest) => [item, ...rest]),
  );
}
