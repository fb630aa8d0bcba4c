/**
 * Tensors that a graph takes and returns anew at every run, such as parameters in training. On a device that can keep them
 * (WebGPU) they stay in its memory: the outputs of one run are the inputs of the next, of whatever session. Elsewhere
 * they are ONNX Runtime's own tensors in our memory, with the same results.
 */
import type * as ort from "onnxruntime-node";
import { assert } from "../base/errors.ts";
import { Graph } from "../graph/graph.ts";
import { identity } from "../graph/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Device } from "./onnx-device.ts";
import { fromOrt, toOrt } from "./ort-tensor.ts";

/** Name of the output that becomes an input of this name in the next run. */
export function nextName(input: string): string {
  return `next ${input}`;
}

/** What graphs loaded with `carries` hand on from run to run (`Session.advance`). */
export class DeviceState {
  readonly #device: Device;
  #now = new Map<string, ort.Tensor>();
  #next: Map<string, ort.Tensor> | undefined;

  constructor(device: Device) {
    this.#device = device;
  }

  get names(): string[] {
    return [...this.#now.keys()];
  }

  /** Replaces everything; the elements go to the device with the next run, and must not change before. */
  set(values: ReadonlyMap<string, Tensor>): void {
    this.release();
    this.#now = new Map([...values].map(([name, value]) => [name, toOrt(value)]));
  }

  feeds(): Record<string, ort.Tensor> {
    return Object.fromEntries(this.#now);
  }

  /** Keeps what a run returned, beside what there is, until `commit` or `discard`. */
  hold(next: ReadonlyMap<string, ort.Tensor>): void {
    this.discard();
    this.#next = new Map(next);
  }

  /** What the last run returned is the state from now on. */
  commit(): void {
    assert(this.#next !== undefined, "nothing to commit");
    dispose(this.#now);
    this.#now = this.#next;
    this.#next = undefined;
  }

  /** Forgets what the last run returned; does nothing after `commit`. */
  discard(): void {
    if (this.#next) dispose(this.#next);
    this.#next = undefined;
  }

  /** The state's elements. */
  async read(): Promise<Map<string, Tensor>> {
    const graph = new Graph("download");
    for (const [name, { dims }] of this.#now)
      graph.output(`${name} here`, identity(graph.input(name, "float32", dims)));
    // Tensor.getData() of a tensor on the device ends the process (onnxruntime-node 1.30).
    const session = await this.#device.load(graph, { label: graph.name });
    try {
      const fetches = [...graph.outputs.keys()];
      const found = await session.runOn(this, fetches);
      return new Map(this.names.map((name) => [name, fromOrt(found[`${name} here`]!)]));
    } finally {
      await session.release();
    }
  }

  /** Frees everything. */
  release(): void {
    this.discard();
    dispose(this.#now);
    this.#now.clear();
  }
}

function dispose(tensors: ReadonlyMap<string, ort.Tensor>): void {
  for (const tensor of tensors.values()) if (tensor.location !== "cpu") tensor.dispose();
}
