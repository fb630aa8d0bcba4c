/** The numbers that training changes, with their gradients and Adam's averages. */
import { assert } from "../base/errors.ts";
import { Arena, arenaBytes } from "../tensor/arena.ts";
import type { AdamArrays } from "../tensor/kernels.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import { badInitialParameter, badTrainerState } from "./errors.ts";

/**
 * Shapes by name, in the orientation in which they are trained: rows of both matrices are latents, so `W_enc` is kept as
 * `[d_sae, d_in]`; outside it is `[d_in, d_sae]` as everywhere.
 */
export type ParameterShapes = Readonly<Record<string, readonly number[]>>;

/** Parameters below this are worked on by one thread. */
const fewestSharedBytes = 2 ** 23;

/** One parameter. */
export interface Parameter extends AdamArrays {
  readonly name: string;
  readonly dims: readonly number[];
}

/** All parameters of an SAE in training, in one arena. */
export class Parameters {
  readonly #shapes: ParameterShapes;
  readonly #threads: number;
  #arena: Arena;
  #all: ReadonlyMap<string, Parameter>;

  /** Copies of what lies in shared memory, which a device does not take. */
  readonly #feeds = new Map<string, Float32Array>();

  /** `threads` share the kernels' work if the parameters are large enough to be worth it. */
  constructor(shapes: ParameterShapes, threads = 1) {
    this.#shapes = shapes;
    this.#threads = parameterBytes(shapes) < fewestSharedBytes ? 1 : threads;
    this.#arena = new Arena(parameterBytes(shapes), { threads: this.#threads });
    this.#all = this.#place();
  }

  /** The memory that all arrays lie in. */
  get arena(): Arena {
    return this.#arena;
  }

  /** Makes room for others in the arena. All arrays are void afterwards: get the parameters again. */
  makeRoom(workBytes: number): void {
    const bytes = parameterBytes(this.#shapes) + workBytes;
    if (this.#arena.renew(bytes)) {
      this.#all = this.#place();
      return;
    }
    const before = this.#all;
    const old = this.#arena;
    this.#arena = new Arena(bytes, { threads: this.#threads });
    this.#all = this.#place();
    for (const { name, value, mean, square } of before.values()) {
      const parameter = this.get(name);
      parameter.value.set(value);
      parameter.mean.set(mean);
      parameter.square.set(square);
    }
    old.release();
  }

  /** Lets other threads give the memory back. */
  release(): void {
    this.#arena.release();
  }

  #place(): ReadonlyMap<string, Parameter> {
    return new Map(
      Object.entries(this.#shapes).map(([name, dims]) => {
        const array = (): Float32Array => this.#arena.float32(sizeOf(dims));
        const [value, grad, mean, square] = [array(), array(), array(), array()];
        return [name, { name, dims, value, grad, mean, square }];
      }),
    );
  }

  /** In the order in which their shapes were given. */
  get all(): readonly Parameter[] {
    return [...this.#all.values()];
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  get(name: string): Parameter {
    const found = this.#all.get(name);
    assert(found !== undefined, `no parameter ${name}`);
    return found;
  }

  /** As a feed of a graph, with its present numbers. */
  feed(name: string): Tensor<"float32"> {
    const { dims, value } = this.get(name);
    if (!(value.buffer instanceof SharedArrayBuffer)) return tensor("float32", dims, value);
    const copy = this.#feeds.get(name) ?? new Float32Array(value.length);
    copy.set(value);
    this.#feeds.set(name, copy);
    return tensor("float32", dims, copy);
  }

  /** Values in the outer orientation, as copies. */
  outside(): Map<string, Tensor<"float32">> {
    return new Map(
      this.all.map(({ name, dims, value }) => [
        name,
        name === "W_enc" ? transposed(value, dims) : tensor("float32", dims, value.slice()),
      ]),
    );
  }

  /** Sets values from tensors in the outer orientation; each must be there with its shape. */
  setFrom(tensors: ReadonlyMap<string, Tensor<"float32">>): void {
    for (const { name, dims, value } of this.all) {
      const found = tensors.get(name);
      const expected = name === "W_enc" ? dims.toReversed() : dims;
      if (found?.dims.join() !== expected.join())
        throw badInitialParameter({
          name,
          found: found?.dims,
          expected,
          names: [...tensors.keys()],
        });
      value.set(name === "W_enc" ? transposed(found.data, found.dims).data : found.data);
    }
  }

  /** Values and Adam's averages, sharing their numbers: what a checkpoint stores. */
  state(): Map<string, Tensor> {
    return new Map(
      this.all.flatMap(({ name, dims, value, mean, square }) => [
        [`parameters/${name}`, tensor("float32", dims, value)],
        [`adam/mean/${name}`, tensor("float32", dims, mean)],
        [`adam/square/${name}`, tensor("float32", dims, square)],
      ]),
    );
  }

  /** Takes over what `state` gave. */
  restore(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, { dims, data }] of this.state()) {
      const found = float32Of(state, name, dims);
      (data as Float32Array).set(found);
    }
  }
}

/** A tensor of a checkpoint, checked. */
export function float32Of(
  state: ReadonlyMap<string, Tensor>,
  name: string,
  dims: readonly number[],
): Float32Array {
  return stored(state, name, "float32", dims) as Float32Array;
}

/** A tensor of a checkpoint, checked. */
export function float64Of(
  state: ReadonlyMap<string, Tensor>,
  name: string,
  dims: readonly number[],
): Float64Array {
  return stored(state, name, "float64", dims) as Float64Array;
}

function stored(
  state: ReadonlyMap<string, Tensor>,
  name: string,
  dtype: "float32" | "float64",
  dims: readonly number[],
): Tensor["data"] {
  const found = state.get(name);
  if (found === undefined) throw badTrainerState(name, "is missing");
  if (found.dtype !== dtype || found.dims.join() !== dims.join())
    throw badTrainerState(
      name,
      `is ${found.dtype} [${found.dims.join(", ")}], expected ${dtype} [${dims.join(", ")}]`,
    );
  return found.data;
}

function parameterBytes(shapes: ParameterShapes): number {
  return Object.values(shapes).reduce((sum, dims) => sum + 4 * arenaBytes(sizeOf(dims)), 0);
}

/** `[n, m] -> [m, n]` */
export function transposed(data: Float32Array, dims: readonly number[]): Tensor<"float32"> {
  const [n = 0, m = 0] = dims;
  const out = new Float32Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[j * n + i] = data[i * m + j]!;
  return tensor("float32", [m, n], out);
}
