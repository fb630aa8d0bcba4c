/**
 * Threads that share the rows of a kernel's work. Each row is computed by one thread in its own order, so results are the
 * same, bit for bit, however many threads there are and whoever comes first.
 *
 * The main thread writes a task into shared words, wakes the others and takes pieces of rows itself until none is left.
 * It waits for pieces that were taken, not for threads: one that is still starting, or has lost its processor, is only
 * missed.
 */
import { Worker } from "node:worker_threads";
import { type WasmMemory, webAssembly } from "./wasm-code.ts";

/** Functions of the kernels' module that rows are shared for. */
export const sharedKernels = ["sparseTimesDense", "denseTimesDenseAt", "adam"] as const;

/** Work on `rows` rows. */
export interface KernelTask {
  readonly kernel: (typeof sharedKernels)[number];
  readonly rows: number;
  /** Rows of a piece are a multiple of this. */
  readonly grain: number;
  /** What the function takes for all rows; at `countAt` their number. */
  readonly args: readonly number[];
  readonly countAt: number;
  /** What is added to each argument for each row before the piece's first. */
  readonly strides: readonly number[];
}

type KernelExports = Readonly<Record<string, (...args: number[]) => void>>;

/** Threads beyond this wait for memory more than they compute. */
const mostThreads = 8;
/** Pieces of a task for each thread: enough that no one waits long for the last. */
const piecesPerThread = 8;
const mostArgs = 16;

/** Int32 words that all threads see. `next` holds the generation above 16 bits and the next piece below. */
const words = {
  generation: 0,
  next: 1,
  done: 2,
  memory: 3,
  kernel: 4,
  rows: 5,
  size: 6,
  args: 7,
  countAt: 8,
};
const wordBytes = 64;

/** The shared block, and what numbers in it mean; goes to the threads as it is. */
interface Control {
  readonly block: SharedArrayBuffer;
  readonly words: typeof words;
  readonly wordBytes: number;
  readonly mostArgs: number;
  readonly kernels: readonly string[];
}

/** A memory that the threads know. */
export interface PoolMemory {
  readonly id: number;
  readonly exports: KernelExports;
}

/** The threads of a process. */
export class KernelPool {
  readonly #control: Control;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #workers: readonly Worker[];
  #generation = 0;
  #memories = 0;

  constructor(threads: number) {
    const block = new SharedArrayBuffer(wordBytes + 16 * mostArgs);
    this.#control = { block, words, wordBytes, mostArgs, kernels: sharedKernels };
    this.#words = new Int32Array(block, 0, wordBytes / 4);
    this.#numbers = new Float64Array(block, wordBytes);
    // Their code stands here as text, so that every bundle and every test has it.
    const code = `const { workerData, parentPort, receiveMessageOnPort } = require("node:worker_threads");
      (${serve.toString()})(workerData, () => receiveMessageOnPort(parentPort)?.message, ${takePieces.toString()});`;
    this.#workers = Array.from({ length: Math.min(threads, mostThreads) - 1 }, () => {
      const worker = new Worker(code, { eval: true, workerData: this.#control });
      // Without them the work takes longer, that is all.
      worker.on("error", () => undefined);
      worker.unref();
      return worker;
    });
  }

  /** Makes a shared memory with its kernels known to the threads. */
  add(module: object, memory: WasmMemory, exports: KernelExports): PoolMemory {
    const id = ++this.#memories;
    for (const worker of this.#workers) worker.postMessage({ id, module, memory }, []);
    return { id, exports };
  }

  /** The threads give a memory back when they next wake. */
  forget({ id }: PoolMemory): void {
    for (const worker of this.#workers) worker.postMessage({ forget: id }, []);
  }

  /** Runs a task to its end. */
  run({ kernel, rows, grain, args, countAt, strides }: KernelTask, memory: PoolMemory): void {
    const wanted = (this.#workers.length + 1) * piecesPerThread;
    const size = grain * Math.ceil(rows / (wanted * grain));
    const pieces = Math.ceil(rows / size);
    // Nobody can take a piece while the words change.
    Atomics.store(this.#words, words.next, -1);
    this.#words[words.done] = 0;
    this.#words[words.memory] = memory.id;
    this.#words[words.kernel] = sharedKernels.indexOf(kernel);
    this.#words[words.rows] = rows;
    this.#words[words.size] = size;
    this.#words[words.args] = args.length;
    this.#words[words.countAt] = countAt;
    this.#numbers.set(args);
    this.#numbers.set(strides, mostArgs);
    this.#generation = (this.#generation + 1) & 0x7fff;
    Atomics.store(this.#words, words.generation, this.#generation);
    Atomics.store(this.#words, words.next, this.#generation << 16);
    Atomics.notify(this.#words, words.generation);
    takePieces(this.#control, this.#generation, memory.exports);
    for (let done; (done = Atomics.load(this.#words, words.done)) < pieces;)
      Atomics.wait(this.#words, words.done, done);
  }
}

let pool: KernelPool | undefined;

/** The threads of this process; the first who asks says how many. */
export function kernelPool(threads: number): KernelPool {
  pool ??= new KernelPool(threads);
  return pool;
}

/** Takes pieces of the task of a generation as long as there are any. Part of the threads' code: knows nothing around it. */
function takePieces(
  { block, words: at, wordBytes: skip, mostArgs: most, kernels }: Control,
  generation: number,
  exports: KernelExports,
): void {
  const shared = new Int32Array(block, 0, skip / 4);
  const numbers = new Float64Array(block, skip);
  const [rows, size, countAt] = [shared[at.rows]!, shared[at.size]!, shared[at.countAt]!];
  const run = exports[kernels[shared[at.kernel]!]!];
  const args = [...numbers.subarray(0, shared[at.args])];
  const strides = [...numbers.subarray(most, most + args.length)];
  for (;;) {
    const next = Atomics.load(shared, at.next);
    // If the words have changed since, this is another generation's.
    if (next >> 16 !== generation || run === undefined) return;
    const first = (next & 0xffff) * size;
    if (first >= rows) return;
    if (Atomics.compareExchange(shared, at.next, next, next + 1) !== next) continue;
    const count = Math.min(size, rows - first);
    run(...args.map((it, i) => (i === countAt ? count : it + first * strides[i]!)));
    Atomics.add(shared, at.done, 1);
    Atomics.notify(shared, at.done);
  }
}

/** What a thread does. Knows nothing around it. */
function serve(
  control: Control,
  receive: () => { id?: number; forget?: number; module: object; memory: WasmMemory } | undefined,
  take: typeof takePieces,
): void {
  const api = (globalThis as unknown as { WebAssembly: typeof webAssembly }).WebAssembly;
  const shared = new Int32Array(control.block, 0, control.wordBytes / 4);
  const known = new Map<number, KernelExports>();
  for (let seen = 0; ;) {
    Atomics.wait(shared, control.words.generation, seen);
    seen = Atomics.load(shared, control.words.generation);
    for (let message; (message = receive()) !== undefined;) {
      if (message.forget !== undefined) known.delete(message.forget);
      if (message.id === undefined) continue;
      const instance = new api.Instance(message.module, { env: { memory: message.memory } });
      known.set(message.id, instance.exports as KernelExports);
    }
    const exports = known.get(shared[control.words.memory]!);
    if (exports !== undefined) take(control, seen, exports);
  }
}
