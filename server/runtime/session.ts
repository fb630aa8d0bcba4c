/**
 * One loaded graph. A run blocks the thread until the device has answered (ONNX Runtime's Node binding is
 * synchronous inside), so what must be cancellable is cut into several sessions.
 */
import * as ort from "onnxruntime-node";
import { isCancelled } from "../base/errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { DType, Tensor } from "../tensor/tensor.ts";
import { type DeviceState, nextName } from "./device-state.ts";
import { outOfMemory } from "./errors.ts";
import { checkFeeds, type FeedType, feedTypes } from "./feeds.ts";
import { fromOrt, toOrt } from "./ort-tensor.ts";

/** A graph that is ready to run on a device. */
export class Session {
  readonly label: string;
  readonly #session: ort.InferenceSession;
  readonly #inputs: ReadonlyMap<string, FeedType>;
  readonly #outputs: readonly string[];
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
    this.#outputs = [...graph.outputs.keys()];
    this.#inputs = feedTypes(graph);
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
    const results = await this.#run(feeds, {}, fetches, signal);
    await new Promise(setImmediate);
    return hostTensors(results, fetches);
  }

  /**
   * The same for a graph that was loaded with `carries`: what it carries is fed from the state, and its next values stay
   * on the device, where the state holds them back until `commit` or `discard`. All outputs are fetched: with some left
   * out, ONNX Runtime 1.30 mistakes which of the others stay.
   */
  async advance(
    state: DeviceState,
    feeds: Readonly<Record<string, Tensor>>,
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>> {
    const next = state.names.map(nextName);
    const results = await this.#run(feeds, state.feeds(), this.#outputs, signal);
    const fetches = this.#outputs.filter((name) => !next.includes(name));
    state.hold(new Map(state.names.map((name) => [name, results[nextName(name)]!])));
    await new Promise(setImmediate);
    return hostTensors(results, fetches);
  }

  /** Runs a graph on nothing but the state and returns outputs as they are. */
  runOn(state: DeviceState, fetches: readonly string[]): Promise<ort.InferenceSession.ReturnType> {
    return this.#run({}, state.feeds(), fetches, undefined);
  }

  async #run(
    feeds: Readonly<Record<string, Tensor>>,
    carried: Readonly<Record<string, ort.Tensor>>,
    fetches: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<ort.InferenceSession.ReturnType> {
    signal?.throwIfAborted();
    if (this.#released) throw new Error(`${this.label}: the session was released`);
    const types = Object.entries(carried).map(
      ([name, { type, dims }]) => [name, { dtype: type as DType, dims }] as const,
    );
    checkFeeds(this.label, this.#inputs, { ...feeds, ...Object.fromEntries(types) });
    const all: Record<string, ort.Tensor> = { ...carried };
    for (const [name, value] of Object.entries(feeds)) all[name] = toOrt(value);
    try {
      return await this.#session.run(all, fetches);
    } catch (error) {
      throw runtimeError(this.label, error);
    }
  }

  /** Frees the device's memory; the session cannot run any more. A second call does nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
    await this.#session.release();
  }
}

function hostTensors(
  results: ort.InferenceSession.ReturnType,
  names: readonly string[],
): Record<string, Tensor> {
  return Object.fromEntries(names.map((name) => [name, fromOrt(results[name]!)]));
}

/** ONNX Runtime's error with the session's label; a user error if the device is out of memory. */
export function runtimeError(label: string, error: unknown): Error {
  if (isCancelled(error)) return error as Error;
  const text = error instanceof Error ? error.message : String(error);
  if (/out of memory|bad_alloc|failed to allocate|OOM/i.test(text))
    return outOfMemory(label, error);
  return new Error(`${label}: ${text}`, { cause: error });
}
