/**
 * One block of memory for arrays that kernels work on together: WebAssembly's, as far as that reaches, so that the loops
 * run on vectors; else ordinary arrays with the same loops in JavaScript.
 */
import { assert } from "../base/errors.ts";
import { kernelPool } from "./kernel-pool.ts";
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

/** How an arena is made. */
export interface ArenaOptions {
  readonly simd?: boolean;
  readonly threads?: number;
}

/** Memory that hands out arrays one after the other. */
export class Arena {
  readonly kernels: Kernels;
  /** Lets other threads give the memory back; nothing may be done with the arrays afterwards. */
  readonly release: () => void;
  readonly #memory: WasmMemory | undefined;
  /**
   * The memory's bytes. Shared memory says them by another object from time to time, after any memory of the process has
   * grown; arrays are of one arena if they have this one.
   */
  #buffer: ArrayBufferLike | undefined;
  /** Without WebAssembly's memory: what was handed out, in order. */
  readonly #arrays: (Float32Array | Int32Array)[];
  #bytes: number;
  #used = 0;
  #handedOut = 0;

  /**
   * `threads` above 1 puts the arrays into shared memory and lets so many threads do the kernels' work. `simd: false`
   * takes ordinary arrays and loops: for comparison.
   */
  constructor(bytes: number, { simd = true, threads = 1 }: ArenaOptions = {}) {
    this.#bytes = bytes;
    this.#memory = simd ? wasmMemory(bytes, threads > 1) : undefined;
    this.#buffer = this.#memory?.buffer;
    this.#arrays = [];
    const { kernels, release } = this.#memory
      ? wasmKernels(this.#memory, threads, (array) => array.buffer === this.#buffer)
      : { kernels: plainKernels, release: () => undefined };
    this.kernels = kernels;
    this.release = release;
  }

  /**
   * Makes room for `bytes` in all. Every array that was handed out is void; the same requests in the same order give
   * arrays with the same numbers again. False where that cannot be done: then make a new arena and copy.
   */
  renew(bytes: number): boolean {
    const more = Math.ceil(bytes / pageBytes) - Math.ceil(this.#bytes / pageBytes);
    if (this.#memory && more > 0) {
      if (!grow(this.#memory, more)) return false;
      this.#buffer = this.#memory.buffer;
    }
    this.#bytes = Math.max(bytes, this.#bytes);
    this.#used = 0;
    this.#handedOut = 0;
    return true;
  }

  /** The next array; zeros if it is new. */
  float32(length: number): Float32Array {
    return this.#take(Float32Array, length);
  }

  /** The next array; zeros if it is new. */
  int32(length: number): Int32Array {
    return this.#take(Int32Array, length);
  }

  #take<T extends Float32Array | Int32Array>(
    kind: { new (length: number): T; new (buffer: ArrayBufferLike, at: number, length: number): T },
    length: number,
  ): T {
    const at = this.#used;
    this.#used += arenaBytes(length);
    assert(this.#used <= this.#bytes, `an arena of ${this.#bytes} bytes is full`);
    if (this.#buffer) return new kind(this.#buffer, at, length);
    const known = this.#arrays[this.#handedOut++];
    if (known instanceof kind && known.length === length) return known;
    const array = new kind(length);
    this.#arrays[this.#handedOut - 1] = array;
    return array;
  }
}

function grow(memory: WasmMemory, pages: number): boolean {
  try {
    memory.grow(pages);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function wasmMemory(bytes: number, shared: boolean): WasmMemory | undefined {
  const pages = Math.ceil(bytes / pageBytes);
  if (pages > mostPages) return undefined;
  try {
    return new webAssembly.Memory({ initial: pages, maximum: mostPages, shared });
  } catch (error) {
    // No address space for it: the ordinary arrays may still find room.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const modules = new Map<boolean, object>();

function kernelsOf(memory: WasmMemory): { module: object; wasm: WasmExports } {
  const isShared = memory.buffer instanceof SharedArrayBuffer;
  const module = modules.get(isShared) ?? kernelModule(isShared);
  modules.set(isShared, module);
  const { exports } = new webAssembly.Instance(module, { env: { memory } });
  return { module, wasm: exports as WasmExports };
}

/** Fewer rows than this, or numbers of Adam, are not worth waking threads for. */
const fewestRows = 64;
const fewestNumbers = 2 ** 16;

function wasmKernels(
  memory: WasmMemory,
  threads: number,
  isOwn: (array: Float32Array | Int32Array) => boolean,
): { kernels: Kernels; release: () => void } {
  const { module, wasm } = kernelsOf(memory);
  const pool = threads > 1 ? kernelPool(threads) : undefined;
  const known = pool?.add(module, memory, { ...wasm });
  const at = (array: Float32Array | Int32Array): number => {
    assert(isOwn(array), "a kernel was given an array outside its arena");
    return array.byteOffset;
  };
  const sparse =
    (kernel: "sparseTimesDense" | "denseTimesDenseAt"): Kernels["addSparseTimesDense"] =>
    (y, { begin, end, columns, values }, x, width) => {
      const rows = begin.length;
      const args = [
        at(y),
        at(begin),
        at(end),
        rows,
        at(columns),
        at(values),
        at(x),
        width,
      ] as const;
      if (!known || rows < fewestRows) return wasm[kernel](...args);
      const strides = [4 * width, 4, 4, 0, 0, 0, 0, 0];
      pool!.run({ kernel, rows, grain: 1, args, countAt: 3, strides }, known);
    };
  const kernels: Kernels = {
    addSparseTimesDense: sparse("sparseTimesDense"),
    denseTimesDenseAt: sparse("denseTimesDenseAt"),
    dot: (a, aAt, b, bAt, n) => wasm.dot(at(a) + 4 * aAt, at(b) + 4 * bAt, n),
    adam: ({ value, grad, mean, square }, factors) => {
      const rows = value.length;
      const args = [
        at(value),
        at(grad),
        at(mean),
        at(square),
        rows,
        factors.gradScale,
        factors.beta1,
        factors.beta2,
        1 - factors.beta2,
        factors.stepSize,
        factors.rootCorrection,
        factors.eps,
      ] as const;
      if (!known || rows < fewestNumbers) return wasm.adam(...args);
      const strides = [4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];
      pool!.run({ kernel: "adam", rows, grain: 1024, args, countAt: 4, strides }, known);
    },
  };
  return { kernels, release: () => known && pool!.forget(known) };
}
