/** The vector loops against their JavaScript twins, bit for bit, and those against plain sums in double precision. */
import { describe, expect, test } from "vitest";
import { Arena, arenaBytes } from "../../server/tensor/arena.ts";
import { KernelPool } from "../../server/tensor/kernel-pool.ts";
import type { SparseRows } from "../../server/tensor/kernels.ts";
import { webAssembly } from "../../server/tensor/wasm-code.ts";
import { kernelModule, type WasmExports } from "../../server/tensor/wasm-kernels.ts";
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

describe("work that threads share", () => {
  const [rows, columns, width] = [700, 300, 67];
  /** Each kernel once, over enough rows for threads. */
  const results = (threads: number) => {
    const random = seeded(9);
    const arena = new Arena(1 << 23, { threads });
    const s = sparse(arena, rows, columns, random);
    const x = filled(arena.float32(columns * width), random);
    const y = filled(arena.float32(rows * width), random);
    const at = { ...s, values: arena.float32(s.values.length) };
    const array = () => filled(arena.float32(70_001), random);
    const adam = { value: array(), grad: array(), mean: array(), square: array() };
    adam.square.forEach((it, i) => (adam.square[i] = it ** 2));
    const { kernels } = arena;
    const factors = { gradScale: 0.37, beta1: 0.9, beta2: 0.999, eps: 1e-8 };
    for (let round = 0; round < 20; round++) {
      kernels.addSparseTimesDense(y, s, x, width);
      kernels.denseTimesDenseAt(y, at, x, width);
      kernels.adam(adam, { ...factors, stepSize: 0.01, rootCorrection: 0.5 });
    }
    const all = [y, at.values, adam.value, adam.mean, adam.square].map((it) => it.slice());
    const isShared = x.buffer instanceof SharedArrayBuffer;
    arena.release();
    return { all, isShared };
  };

  test("comes to the same as one thread's, bit for bit", () => {
    const one = results(1);
    expect(one.isShared).toBe(false);
    // The second finds threads that know another memory, too.
    for (const threads of [3, 3]) {
      const some = results(threads);
      expect(some.isShared).toBe(true);
      expect(some.all).toEqual(one.all);
    }
  });

  test("goes on when memories have grown, others as well", async () => {
    const [a, b] = [0, 1].map(() => new Arena(1 << 20, { threads: 3 })) as [Arena, Arena];
    const before = a.float32(1000).fill(2);
    for (let round = 1; round <= 20; round++) {
      b.renew((1 + round) << 20);
      // What the memory says of itself changes between tasks of the event loop.
      await new Promise(setImmediate);
      expect(a.kernels.dot(before, 0, before, 0, 1000)).toBe(4000);
      const own = b.float32((round << 20) / 4).fill(round);
      expect(b.kernels.dot(own, 0, own, own.length - 16, 16)).toBe(16 * round ** 2);
    }
    a.release();
    b.release();
  });

  test("is done by other threads, too, each row once", () => {
    const n = 2 ** 20;
    const module = kernelModule(true);
    const memory = new webAssembly.Memory({ initial: 16 * 17, maximum: 1000, shared: true });
    const { exports } = new webAssembly.Instance(module, { env: { memory } });
    const wasm = exports as WasmExports;
    let own = 0;
    const pool = new KernelPool(3);
    const known = pool.add(module, memory, {
      adam: (...args) => {
        own += args[4]!;
        wasm.adam(...(args as Parameters<WasmExports["adam"]>));
      },
    });
    const gradients = new Float32Array(memory.buffer, 4 * n, n).fill(1);
    const means = new Float32Array(memory.buffer, 8 * n, n);
    const args = [0, 4 * n, 8 * n, 12 * n, n, 1, 0, 0.999, 0.001, 0.01, 0.5, 1e-8];
    const strides = [4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    const deadline = performance.now() + 20_000;
    let rounds = 0;
    // On a busy machine they may take a while to come.
    do {
      gradients.fill(++rounds);
      pool.run({ kernel: "adam", rows: n, grain: 1024, args, countAt: 4, strides }, known);
      // With β₁ 0 the average of gradients is the last one.
      expect(means.every((it) => it === rounds)).toBe(true);
    } while (own === rounds * n && performance.now() < deadline);
    expect(own).toBeLessThan(rounds * n);
  });
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
