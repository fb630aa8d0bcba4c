/**
 * The graph room: computations as values. A `Graph` has inputs, weights and outputs; free functions (`ops/`) make new
 * `Value`s from values and check shapes as they go, with symbolic dimensions; `print` shows a graph as text and
 * `writeOnnx` spells it for ONNX Runtime. Nothing is computed here and nothing is read: no disk, clock,
 * randomness or device. One op is one entry (`op.ts`): ONNX spelling, shape rule, and the place of its gradient rule.
 * Start reading at `Graph`, then `op.ts`, then `ops/elementwise.ts`.
 */
import { assert } from "../base/errors.ts";
import {
  bytesPerElement,
  type DType,
  sizeOf,
  type StoredTensor,
  type Tensor,
} from "../tensor/tensor.ts";
import { canonicalDim, type Dim } from "./dims.ts";
import type { Op } from "./op.ts";
import { cast } from "./ops/elementwise.ts";

export type { Dim } from "./dims.ts";

/** Element type and shape of a value. */
export interface ValueType {
  readonly dtype: DType;
  readonly dims: readonly Dim[];
}

/** Where a value comes from. */
export type Origin =
  | { readonly kind: "input" }
  | { readonly kind: "weight"; readonly source: Tensor | StoredTensor }
  | { readonly kind: "constant"; readonly tensor: Tensor }
  | { readonly kind: "node"; readonly node: Node; readonly index: number };

/** A tensor in a graph: known by type and origin, not by its elements. */
export interface Value extends ValueType {
  readonly graph: Graph;
  /** Unique in the graph; inputs and weights keep the names they were given. */
  readonly name: string;
  readonly origin: Origin;
}

/** One application of an op. An optional input that is left out is undefined. */
export interface Node {
  readonly op: Op;
  readonly inputs: readonly (Value | undefined)[];
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly outputs: readonly Value[];
}

/** A computation under construction. */
export class Graph {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #outputs = new Map<string, Value>();
  readonly #weights = new Map<string, { source: Tensor | StoredTensor; value: Value }>();
  readonly #constants = new Map<string | Tensor, Value>();
  readonly #names = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  /** Nodes in the order in which they were made, which is an order in which they can run. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  get outputs(): ReadonlyMap<string, Value> {
    return this.#outputs;
  }

  /** A value that is fed at every run. */
  input(name: string, dtype: DType, dims: readonly Dim[]): Value {
    const value = this.#value(name, { dtype, dims: dims.map(canonicalDim) }, { kind: "input" });
    this.#inputs.push(value);
    return value;
  }

  /**
   * A weight: inside the model (`Tensor`, small) or in a file by offset (`StoredTensor`; the bytes never pass through
   * JavaScript). f16 and bf16 are widened in the graph, so the value is float32. `dims` reinterprets the shape.
   * The same name with the same source is the same value.
   */
  weight(
    name: string,
    source: Tensor | StoredTensor,
    { dims }: { dims?: readonly number[] } = {},
  ): Value {
    const known = this.#weights.get(name);
    if (known !== undefined) {
      assert(known.source === source, `two weights are named ${name}`);
      return known.value;
    }
    const { dtype } = source;
    assert(isPlain(dtype), `weight ${name} is stored in blocks (${dtype}): dequantise it first`);
    const shape = dims ?? source.dims;
    assert(
      sizeOf(shape) === sizeOf(source.dims),
      `weight ${name}: [${source.dims.join(", ")}] has not the elements of [${shape.join(", ")}]`,
    );
    const bytes = "file" in source ? source.byteLength : source.data.byteLength;
    const expected = sizeOf(shape) * bytesPerElement[dtype];
    assert(bytes === expected, `weight ${name}: ${bytes} bytes where its shape needs ${expected}`);
    const stored = this.#value(name, { dtype, dims: shape }, { kind: "weight", source });
    const isHalf = dtype === "float16" || dtype === "bfloat16";
    const value = isHalf ? cast(stored, "float32") : stored;
    this.#weights.set(name, { source, value });
    return value;
  }

  /** A constant; equal constants of up to a few hundred elements are one value. */
  constant(source: Tensor): Value {
    const key = constantKey(source);
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const { dtype, dims } = source;
    const origin: Origin = { kind: "constant", tensor: source };
    const value = this.#value(this.#fresh("constant"), { dtype, dims }, origin);
    this.#constants.set(key, value);
    return value;
  }

  /** Declares what a run can return under `name`. */
  output(name: string, value: Value): void {
    assert(value.graph === this, `output ${name} belongs to graph ${value.graph.name}`);
    assert(!this.#outputs.has(name), `two outputs are named ${name}`);
    this.#outputs.set(name, value);
  }

  /** Adds a node; `op.ts`'s `apply` has checked its shapes. */
  addNode(
    op: Op,
    inputs: Node["inputs"],
    attrs: Node["attrs"],
    types: readonly ValueType[],
  ): readonly Value[] {
    const outputs: Value[] = [];
    const node: Node = { op, inputs, attrs, outputs };
    types.forEach((type, index) => {
      outputs.push(this.#value(this.#fresh(op.name), type, { kind: "node", node, index }));
    });
    this.#nodes.push(node);
    return outputs;
  }

  #value(name: string, type: ValueType, origin: Origin): Value {
    assert(!this.#names.has(name), `two values are named ${name}`);
    this.#names.add(name);
    return { graph: this, name, dtype: type.dtype, dims: type.dims, origin };
  }

  #fresh(stem: string): string {
    return `%${stem}${this.#names.size}`;
  }
}

/** The nodes that the outputs need, in running order. */
export function neededNodes(graph: Graph): Node[] {
  const needed = new Set<Node>();
  const pending = [...graph.outputs.values()];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (value.origin.kind !== "node" || needed.has(value.origin.node)) continue;
    needed.add(value.origin.node);
    for (const input of value.origin.node.inputs) if (input) pending.push(input);
  }
  return graph.nodes.filter((node) => needed.has(node));
}

/** Bytes of a constant up to which its contents are compared. */
const comparedBytes = 2048;

function constantKey(source: Tensor): string | Tensor {
  const { dtype, dims, data } = source;
  if (data.byteLength > comparedBytes) return source;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${dtype}[${dims.join()}]${bytes.join()}`;
}

function isPlain(dtype: StoredTensor["dtype"]): dtype is DType {
  return dtype in bytesPerElement;
}
