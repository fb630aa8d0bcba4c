/** The vector loops against their JavaScript twins, bit for bit, and those against plain sums in double precision. */
import { describe, expect, test } from "vitest";
import { Arena, arenaBytes } from "../../server/tensor/arena.ts";
import type { SparseRows } from "../../server/tensor/kernels.ts";
import { seeded } from "../random.ts";

/** Both kinds of memory, filled with the same numbers. */
function both<T>(bytes: number, make: (arena: Arena, random: () => number) => T): [T, T] {
  return [true, false].map((simd) => make(new Arena(bytes, { simd }), seeded(7))) as [T, T];
}

function filled(array: Float32Array, random: () => number): Float32Array {
  for (let i = 0; i < array.length; i++) array[i] = random() - 0.5;
  return array;
}

function sparse(arena: Arena, rows: number, columns: number, random: () => number): SparseRows {
  const perRow = 5;
  const begin = arena.int32(rows);
  const end = arena.int32(rows);
  const list = arena.int32(rows * perRow);
  for (let row = 0; row < rows; row++) {
    begin[row] = row * perRow;
    // Some rows use fewer of their places, one none.
    end[row] = begin[row]! + (row % (perRow + 1));
  }
  for (let i = 0; i < list.length; i++) list[i] = Math.floor(random() * columns);
  const values = filled(arena.float32(rows * perRow), random);
  return { begin, end, columns: list, values };
}

// Below, at and above the widths that vectors and unrolled loops take.
const widths = [1, 3, 4, 16, 19, 31, 32, 36, 67, 576];

describe("products with sparse rows", () => {
  test.each(widths)("S·x, width %i", (width) => {
    const [rows, columns] = [12, 9];
    const [vectors, plain] = both(1 << 20, (arena, random) => {
      const s = sparse(arena, rows, columns, random);
      const x = filled(arena.float32(columns * width), random);
      const y = filled(arena.float32(rows * width), random);
      const before = y.slice();
      arena.kernels.addSparseTimesDense(y, s, x, width);
      return { s, x, y, before };
    });
    expect(vectors.y).toEqual(plain.y);
    const { s, x, y, before } = plain;
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < width; i++) {
        let sum = before[row * width + i]!;
        for (let entry = s.begin[row]!; entry < s.end[row]!; entry++)
          sum += s.values[entry]! * x[s.columns[entry]! * width + i]!;
        expect(y[row * width + i]).toBeCloseTo(sum, 5);
      }
  });

  test.each(widths)("y·xᵀ at places, width %i", (width) => {
    const [rows, columns] = [12, 9];
    const [vectors, plain] = both(1 << 20, (arena, random) => {
      const s = sparse(arena, rows, columns, random);
      const x = filled(arena.float32(columns * width), random);
      const y = filled(arena.float32(rows * width), random);
      const before = s.values.slice();
      arena.kernels.denseTimesDenseAt(y, s, x, width);
      return { s, x, y, before };
    });
    expect(vectors.s.values).toEqual(plain.s.values);
    const { s, x, y, before } = plain;
    for (let row = 0; row < rows; row++) {
      for (let entry = s.begin[row]!; entry < s.end[row]!; entry++) {
        let sum = 0;
        for (let i = 0; i < width; i++)
          sum += y[row * width + i]! * x[s.columns[entry]! * width + i]!;
        expect(s.values[entry]).toBeCloseTo(sum, 4);
      }
      // Places that no row has stay as they were.
      for (let entry = s.end[row]!; entry < (s.begin[row + 1] ?? s.values.length); entry++)
        expect(s.values[entry]).toBe(before[entry]);
    }
  });
});

test.each(widths)("dot product of %i numbers", (n) => {
  const [vectors, plain] = both(1 << 20, (arena, random) => {
    const a = filled(arena.float32(n + 3), random);
    const b = filled(arena.float32(n + 2), random);
    return { a, b, sum: arena.kernels.dot(a, 3, b, 2, n) };
  });
  expect(vectors.sum).toBe(plain.sum);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += plain.a[i + 3]! * plain.b[i + 2]!;
  expect(plain.sum).toBeCloseTo(sum, 4);
});

test.each([0, 0.9])("Adam with beta1 %f", (beta1) => {
  const n = 39;
  const factors = { gradScale: 0.37, beta1, beta2: 0.999, eps: 1e-8 };
  const [vectors, plain] = both(1 << 20, (arena, random) => {
    const arrays = {
      value: filled(arena.float32(n), random),
      grad: arena.float32(n),
      mean: arena.float32(n),
      square: arena.float32(n),
    };
    const start = arrays.value.slice();
    const gradients: Float32Array[] = [];
    for (let step = 1; step <= 4; step++) {
      gradients.push(filled(arrays.grad, random).slice());
      arrays.grad[2] = 0;
      gradients.at(-1)![2] = 0;
      arena.kernels.adam(arrays, {
        ...factors,
        stepSize: 0.01 / (1 - beta1 ** step),
        rootCorrection: Math.sqrt(1 - 0.999 ** step),
      });
    }
    return { ...arrays, start, gradients };
  });
  expect(vectors.value).toEqual(plain.value);
  expect(vectors.mean).toEqual(plain.mean);
  expect(vectors.square).toEqual(plain.square);
  const { value, start, gradients } = plain;
  expect(value[2]).toBe(start[2]);
  for (let i = 0; i < n; i++) {
    let [p, m, v] = [start[i]!, 0, 0];
    gradients.forEach((gradient, at) => {
      const g = gradient[i]! * 0.37;
      m = beta1 * m + (1 - beta1) * g;
      v = 0.999 * v + 0.001 * g * g;
      const [c1, c2] = [1 - beta1 ** (at + 1), 1 - 0.999 ** (at + 1)];
      p -= (0.01 * (m / c1)) / (Math.sqrt(v / c2) + 1e-8);
    });
    expect(value[i]).toBeCloseTo(p, 5);
  }
});

test("an arena that is full says so, as does a kernel that is given a foreign array", () => {
  const arena = new Arena(arenaBytes(10));
  arena.float32(10);
  expect(() => arena.int32(1)).toThrow("an arena of 64 bytes is full");
  const [a, b] = [new Arena(1000), new Arena(1000)];
  expect(() => a.kernels.dot(a.float32(4), 0, b.float32(4), 0, 4)).toThrow("outside its arena");
});

test.each([true, false])("an arena renewed with more room keeps its numbers (simd: %s)", (simd) => {
  const arena = new Arena(arenaBytes(10), { simd });
  arena.float32(10).fill(3);
  expect(arena.renew(arenaBytes(10) + arenaBytes(100_000))).toBe(true);
  const again = arena.float32(10);
  const more = arena.int32(100_000);
  expect(again).toEqual(new Float32Array(10).fill(3));
  expect(more.every((it) => it === 0)).toBe(true);
  expect(arena.kernels.dot(again, 0, again, 0, 10)).toBe(90);
});
