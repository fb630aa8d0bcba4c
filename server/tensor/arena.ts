/**
 * One block of memory for arrays that kernels work on together: WebAssembly's, as far as that reaches, so that the loops
 * run on vectors; else ordinary arrays with the same loops in JavaScript.
 */
import { assert } from "../base/errors.ts";
import { type Kernels, plainKernels } from "./kernels.ts";
import { type WasmMemory, webAssembly } from "./wasm-code.ts";
import { kernelModule, type WasmExports } from "./wasm-kernels.ts";

/** WebAssembly's memory grows in pages and ends at 4 GiB. */
const pageBytes = 65_536;
const mostPages = 65_535;
/** Arrays begin at a cache line. */
const alignment = 64;

/** Bytes that an array of 4-byte numbers takes in an arena. */
export function arenaBytes(length: number): number {
  return Math.ceil((4 * length) / alignment) * alignment;
}

/** Memory of a size that is known from the start. */
export class Arena {
  readonly kernels: Kernels;
  readonly #buffer: ArrayBuffer | undefined;
  readonly #bytes: number;
  #used = 0;

  /** `simd: false` takes ordinary arrays and loops: for comparison. */
  constructor(bytes: number, { simd = true }: { simd?: boolean } = {}) {
    this.#bytes = bytes;
    const memory = simd ? wasmMemory(bytes) : undefined;
    this.#buffer = memory?.buffer;
    this.kernels = memory ? wasmKernels(memory) : plainKernels;
  }

  /** A new array of zeros. */
  float32(length: number): Float32Array {
    const at = this.#take(length);
    return this.#buffer ? new Float32Array(this.#buffer, at, length) : new Float32Array(length);
  }

  /** A new array of zeros. */
  int32(length: number): Int32Array {
    const at = this.#take(length);
    return this.#buffer ? new Int32Array(this.#buffer, at, length) : new Int32Array(length);
  }

  #take(length: number): number {
    const at = this.#used;
    this.#used += arenaBytes(length);
    assert(this.#used <= this.#bytes, `an arena of ${this.#bytes} bytes is full`);
    return at;
  }
}

function wasmMemory(bytes: number): WasmMemory | undefined {
  const pages = Math.ceil(bytes / pageBytes);
  if (pages > mostPages) return undefined;
  try {
    return new webAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    // No address space for it: the ordinary arrays may still find room.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

let module: object | undefined;

function wasmKernels(memory: WasmMemory): Kernels {
  module ??= kernelModule();
  const { exports } = new webAssembly.Instance(module, { env: { memory } });
  const wasm = exports as WasmExports;
  const at = (array: Float32Array | Int32Array): number => {
    assert(array.buffer === memory.buffer, "a kernel was given an array outside its arena");
    return array.byteOffset;
  };
  const sparse =
    (run: WasmExports["sparseTimesDense"]): Kernels["addSparseTimesDense"] =>
    (y, { begin, end, columns, values }, x, width) =>
      run(at(y), at(begin), at(end), begin.length, at(columns), at(values), at(x), width);
  return {
    addSparseTimesDense: sparse(wasm.sparseTimesDense),
    denseTimesDenseAt: sparse(wasm.denseTimesDenseAt),
    dot: (a, aAt, b, bAt, n) => wasm.dot(at(a) + 4 * aAt, at(b) + 4 * bAt, n),
    adam: ({ value, grad, mean, square }, factors) =>
      wasm.adam(
        at(value),
        at(grad),
        at(mean),
        at(square),
        value.length,
        factors.gradScale,
        factors.beta1,
        factors.beta2,
        1 - factors.beta2,
        factors.stepSize,
        factors.rootCorrection,
        factors.eps,
      ),
  };
}
