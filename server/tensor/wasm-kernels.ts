/** The loops of `kernels.ts` as WebAssembly with vectors of four float32. */
import {
  add,
  and,
  type Code,
  f32,
  f32x4,
  forUpTo,
  get,
  i32,
  loadI32,
  mul,
  set,
  sub,
  type ValueType,
  type WasmFunction,
  wasmModule,
  webAssembly,
} from "./wasm-code.ts";

/** What the module exports; addresses are bytes from the start of the memory. */
export interface WasmExports {
  /** `y[r] += Σ_e values[e] · x[columns[e]]` for `r` in `[0, rows)`, `e` in `[begin[r], end[r])`. */
  sparseTimesDense(
    y: number,
    begin: number,
    end: number,
    rows: number,
    columns: number,
    values: number,
    x: number,
    width: number,
  ): void;
  /** `values[e] = y[r] · x[columns[e]]`, as above. */
  denseTimesDenseAt(
    y: number,
    begin: number,
    end: number,
    rows: number,
    columns: number,
    values: number,
    x: number,
    width: number,
  ): void;
  /** Σ a[i]·b[i] */
  dot(a: number, b: number, n: number): number;
  /** One step of Adam on n numbers. */
  adam(
    p: number,
    g: number,
    m: number,
    v: number,
    n: number,
    gradScale: number,
    beta1: number,
    beta2: number,
    oneMinusBeta2: number,
    step: number,
    rootCorrection: number,
    eps: number,
  ): void;
}

/** Numbers of a vector, and vectors that a loop keeps in registers at a time. */
const lanes = 4;
const unrolled = 8;
const block = lanes * unrolled;

/** The module; instantiate it with `{ env: { memory } }`. */
export function kernelModule(isShared: boolean): object {
  const functions = [sparseTimesDense(), sampled(), dot(), adam()];
  return new webAssembly.Module(wasmModule(functions, isShared));
}

/** Hands out numbers of locals behind the parameters. */
class Locals {
  readonly types: ValueType[] = [];
  readonly #first: number;

  constructor(parameters: readonly ValueType[]) {
    this.#first = parameters.length;
  }

  make(type: ValueType): number {
    this.types.push(type);
    return this.#first + this.types.length - 1;
  }

  many(type: ValueType, count: number): number[] {
    return Array.from({ length: count }, () => this.make(type));
  }
}

const repeat = <T>(items: readonly T[], code: (item: T, at: number) => Code): Code =>
  items.flatMap((item, at) => [...code(item, at)]);

/** Byte address of element `index` of an array of 4-byte numbers. */
const at = (base: Code, index: Code): Code => add(base, mul(index, i32(4)));

/** n rounded down to a multiple of a power of two. */
const floorTo = (n: Code, multiple: number): Code => and(n, i32(-multiple));

function sparseTimesDense(): WasmFunction {
  const parameters: ValueType[] = Array.from({ length: 8 }, () => "i32");
  const [y, begin, end, rows, columns, values, x, width] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const locals = new Locals(parameters);
  const row = locals.make("i32");
  const column = locals.make("i32");
  const entry = locals.make("i32");
  const last = locals.make("i32");
  const first = locals.make("i32");
  const target = locals.make("i32");
  const source = locals.make("i32");
  const factor = locals.make("v128");
  const sums = locals.many("v128", unrolled);
  const one = locals.make("f32");
  /** Adds all entries of the row to the numbers from `column` on. */
  const entries = (body: Code): Code => [
    ...set(entry, get(first)),
    ...forUpTo(entry, get(last), 1, [
      ...set(
        source,
        at(get(x), add(mul(loadI32(at(get(columns), get(entry))), get(width)), get(column))),
      ),
      ...body,
    ]),
  ];
  const value = f32.load(at(get(values), get(entry)));
  const vectors = (list: readonly number[]): Code => [
    ...set(target, at(get(y), add(mul(get(row), get(width)), get(column)))),
    ...repeat(list, (sum, i) => set(sum, f32x4.load(get(target), 16 * i))),
    ...entries([
      ...set(factor, f32x4.splat(value)),
      ...repeat(list, (sum, i) =>
        set(sum, f32x4.add(get(sum), f32x4.mul(get(factor), f32x4.load(get(source), 16 * i)))),
      ),
    ]),
    ...repeat(list, (sum, i) => f32x4.store(get(target), get(sum), 16 * i)),
  ];
  const single: Code = [
    ...set(target, at(get(y), add(mul(get(row), get(width)), get(column)))),
    ...set(one, f32.load(get(target))),
    ...entries(set(one, f32.add(get(one), f32.mul(value, f32.load(get(source)))))),
    ...f32.store(get(target), get(one)),
  ];
  const body = forUpTo(row, get(rows), 1, [
    ...set(first, loadI32(at(get(begin), get(row)))),
    ...set(last, loadI32(at(get(end), get(row)))),
    ...set(column, i32(0)),
    ...forUpTo(column, floorTo(get(width), block), block, vectors(sums)),
    ...forUpTo(column, floorTo(get(width), lanes), lanes, vectors(sums.slice(0, 1))),
    ...forUpTo(column, get(width), 1, single),
  ]);
  return { name: "sparseTimesDense", parameters, locals: locals.types, body };
}

/** Code that computes the products of one array with several at a time, each as if it were alone. */
function dotCode(
  locals: Locals,
  a: number,
  bs: readonly number[],
  n: number,
): { compute: Code; results: readonly number[] } {
  const i = locals.make("i32");
  const end = locals.make("i32");
  const pa = locals.make("i32");
  const pbs = locals.many("i32", bs.length);
  const vector = locals.make("v128");
  const one = locals.make("f32");
  // 16 partial sums of each product, then the rest one by one.
  const sums = bs.map(() => locals.many("v128", 4) as [number, number, number, number]);
  const results = locals.many("f32", bs.length);
  const advance = (bytes: number): Code =>
    repeat([pa, ...pbs], (pointer) => set(pointer, add(get(pointer), i32(bytes))));
  const compute: Code = [
    ...set(pa, get(a)),
    ...repeat(pbs, (pb, at) => set(pb, get(bs[at]!))),
    ...repeat(sums.flat(), (sum) => set(sum, f32x4.zero)),
    ...set(i, i32(0)),
    ...set(end, floorTo(get(n), 16)),
    ...forUpTo(i, get(end), 16, [
      ...repeat([0, 1, 2, 3], (at) => [
        ...set(vector, f32x4.load(get(pa), 16 * at)),
        ...repeat(sums, (own, which) =>
          set(
            own[at]!,
            f32x4.add(get(own[at]!), f32x4.mul(get(vector), f32x4.load(get(pbs[which]!), 16 * at))),
          ),
        ),
      ]),
      ...advance(64),
    ]),
    ...repeat(sums, ([s0, s1, s2, s3], which) => {
      const lane = (index: number): Code => f32x4.lane(get(s0), index);
      return [
        ...set(s0, f32x4.add(f32x4.add(get(s0), get(s1)), f32x4.add(get(s2), get(s3)))),
        ...set(results[which]!, f32.add(f32.add(lane(0), lane(1)), f32.add(lane(2), lane(3)))),
      ];
    }),
    ...forUpTo(i, get(n), 1, [
      ...set(one, f32.load(get(pa))),
      ...repeat(results, (result, which) =>
        set(result, f32.add(get(result), f32.mul(get(one), f32.load(get(pbs[which]!))))),
      ),
      ...advance(4),
    ]),
  ];
  return { compute, results };
}

/** Entries whose products are computed together; a power of two. */
const grouped = 4;

function sampled(): WasmFunction {
  const parameters: ValueType[] = Array.from({ length: 8 }, () => "i32");
  const [y, begin, end, rows, columns, values, x, width] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const locals = new Locals(parameters);
  const row = locals.make("i32");
  const entry = locals.make("i32");
  const last = locals.make("i32");
  const lastOfGroups = locals.make("i32");
  const here = locals.make("i32");
  const there = locals.many("i32", grouped);
  /** The next `count` entries, whose sums then wait less for each other. */
  const some = (count: number): Code => {
    const { compute, results } = dotCode(locals, here, there.slice(0, count), width);
    return [
      ...repeat(there.slice(0, count), (it, nth) =>
        set(it, at(get(x), mul(loadI32(at(get(columns), get(entry)), 4 * nth), get(width)))),
      ),
      ...compute,
      ...repeat(results, (result, nth) =>
        f32.store(at(get(values), get(entry)), get(result), 4 * nth),
      ),
    ];
  };
  const body = forUpTo(row, get(rows), 1, [
    ...set(entry, loadI32(at(get(begin), get(row)))),
    ...set(last, loadI32(at(get(end), get(row)))),
    ...set(here, at(get(y), mul(get(row), get(width)))),
    ...set(lastOfGroups, add(get(entry), floorTo(sub(get(last), get(entry)), there.length))),
    ...forUpTo(entry, get(lastOfGroups), there.length, some(there.length)),
    ...forUpTo(entry, get(last), 1, some(1)),
  ]);
  return { name: "denseTimesDenseAt", parameters, locals: locals.types, body };
}

function dot(): WasmFunction {
  const parameters: ValueType[] = ["i32", "i32", "i32"];
  const locals = new Locals(parameters);
  const { compute, results } = dotCode(locals, 0, [1], 2);
  const body = [...compute, ...get(results[0]!)];
  return { name: "dot", parameters, result: "f32", locals: locals.types, body };
}

function adam(): WasmFunction {
  const scalarNames = 7;
  const parameters: ValueType[] = [
    ...Array.from({ length: 5 }, (): ValueType => "i32"),
    ...Array.from({ length: scalarNames }, (): ValueType => "f32"),
  ];
  const arrays = [0, 1, 2, 3] as const;
  const n = 4;
  const scalars = Array.from({ length: scalarNames }, (_, index) => 5 + index);
  const locals = new Locals(parameters);
  const i = locals.make("i32");
  const vectors = locals.many("v128", 3);
  const singles = locals.many("f32", 3);
  const wide = locals.many("v128", scalarNames);
  const step = (kind: typeof f32 | typeof f32x4, work: readonly number[], factors: number[]) =>
    adamCode(kind, { arrays, work, factors });
  const advance = (bytes: number): Code =>
    repeat(arrays, (pointer) => set(pointer, add(get(pointer), i32(bytes))));
  const body: Code = [
    ...repeat(wide, (local, index) => set(local, f32x4.splat(get(scalars[index]!)))),
    ...forUpTo(i, floorTo(get(n), lanes), lanes, [
      ...step(f32x4, vectors, wide),
      ...advance(4 * lanes),
    ]),
    ...forUpTo(i, get(n), 1, [...step(f32, singles, scalars), ...advance(4)]),
  ];
  return { name: "adam", parameters, locals: locals.types, body };
}

/** m = g + (m − g)·β₁; v = v·β₂ + g²·(1 − β₂); p = p − step·m / (√v / rootCorrection + eps), for one vector or number. */
function adamCode(
  kind: typeof f32 | typeof f32x4,
  names: {
    readonly arrays: readonly [number, number, number, number];
    readonly work: readonly number[];
    readonly factors: readonly number[];
  },
): Code {
  const [p, grad, mean, square] = names.arrays;
  const [g, m, v] = names.work as [number, number, number];
  const [gradScale, beta1, beta2, oneMinusBeta2, step, rootCorrection, eps] = names.factors.map(
    get,
  ) as [Code, Code, Code, Code, Code, Code, Code];
  const nextMean = kind.add(get(g), kind.mul(kind.sub(kind.load(get(mean)), get(g)), beta1));
  const nextSquare = kind.add(
    kind.mul(kind.load(get(square)), beta2),
    kind.mul(kind.mul(get(g), get(g)), oneMinusBeta2),
  );
  const scale = kind.add(kind.div(kind.sqrt(get(v)), rootCorrection), eps);
  const moved = kind.div(kind.mul(step, get(m)), scale);
  return [
    ...set(g, kind.mul(kind.load(get(grad)), gradScale)),
    ...set(m, nextMean),
    ...set(v, nextSquare),
    ...kind.store(get(mean), get(m)),
    ...kind.store(get(square), get(v)),
    ...kind.store(get(p), kind.sub(kind.load(get(p)), moved)),
  ];
}
