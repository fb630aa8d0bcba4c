/**
 * One loaded graph. A run blocks the thread until the device has answered (ONNX Runtime's Node binding is
 * synchronous inside), so what must be cancellable is cut into several sessions.
 */
import * as ort from "onnxruntime-node";
import { isCancelled } from "../base/errors.ts";
import { evaluateDim, printDims } from "../graph/dims.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { outOfMemory } from "./errors.ts";
import { fromOrt, toOrt } from "./ort-tensor.ts";

/** A graph that is ready to run on a device. */
export class Session {
  readonly label: string;
  readonly #session: ort.InferenceSession;
  readonly #inputs: ReadonlyMap<string, Pick<Value, "dtype" | "dims">>;
  readonly #onRelease: (session: Session) => void;
  #released = false;

  /** `onRelease` is told once when the session is given back. */
  constructor(
    label: string,
    session: ort.InferenceSession,
    graph: Graph,
    onRelease: (session: Session) => void,
  ) {
    this.label = label;
    this.#session = session;
    this.#onRelease = onRelease;
    // Types only: the graph may hold weights.
    this.#inputs = new Map(graph.inputs.map(({ name, dtype, dims }) => [name, { dtype, dims }]));
  }

  /**
   * Runs the graph and returns the fetched outputs. Throws the signal's reason if cancelled before it starts; yields
   * to the event loop once before returning, so that cancellations arrive between runs.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches: readonly string[],
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted();
    if (this.#released) throw new Error(`${this.label}: the session was released`);
    this.#checkFeeds(feeds);
    const ortFeeds: Record<string, ort.Tensor> = {};
    for (const [name, value] of Object.entries(feeds)) ortFeeds[name] = toOrt(value);
    let results: ort.InferenceSession.ReturnType;
    try {
      results = await this.#session.run(ortFeeds, fetches);
    } catch (error) {
      throw runtimeError(this.label, error);
    }
    const outputs: Record<string, Tensor> = {};
    for (const name of fetches) outputs[name] = fromOrt(results[name]!);
    await new Promise(setImmediate);
    return outputs;
  }

  /** Frees the device's memory; the session cannot run any more. A second call does nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
    await this.#session.release();
  }

  /** Feeds must be all inputs, of their types, with one size for each symbolic dimension. */
  #checkFeeds(feeds: Readonly<Record<string, Tensor>>): void {
    const sizes = new Map<string, number>();
    const fail = (text: string): never => {
      throw new Error(`${this.label}: ${text}`);
    };
    for (const name of Object.keys(feeds)) if (!this.#inputs.has(name)) fail(`no input ${name}`);
    for (const [name, { dims }] of this.#inputs) {
      dims.forEach((dim, i) => {
        const size = feeds[name]?.dims[i];
        const isName = typeof dim === "string" && /^\w+$/.test(dim);
        if (isName && size !== undefined && !sizes.has(dim)) sizes.set(dim, size);
      });
    }
    for (const [name, { dtype, dims }] of this.#inputs) {
      const feed = feeds[name] ?? fail(`input ${name} is not fed`);
      const found = `input ${name}: found ${feed.dtype}${printDims(feed.dims)}`;
      const wanted = `${dtype}${printDims(dims)}`;
      if (feed.dtype !== dtype || feed.dims.length !== dims.length) {
        fail(`${found}, expected ${wanted}`);
      }
      dims.forEach((dim, i) => {
        const expected = evaluateDim(dim, sizes);
        if (expected !== undefined && expected !== feed.dims[i]) {
          const where = typeof dim === "string" ? ` where ${dim} is ${expected}` : "";
          fail(`${found}, expected ${wanted}${where}`);
        }
      });
    }
  }
}

/** ONNX Runtime's error with the session's label; a user error if the device is out of memory. */
export function runtimeError(label: string, error: unknown): Error {
  if (isCancelled(error)) return error as Error;
  const text = error instanceof Error ? error.message : String(error);
  if (/out of memory|bad_alloc|failed to allocate|OOM/i.test(text))
    return outOfMemory(label, error);
  return new Error(`${label}: ${text}`, { cause: error });
}
