/**
 * How many bytes computations will take, known before anything is loaded. All devices compute in float32.
 */
import { assert } from "../base/errors.ts";
import { evaluateDim } from "../graph/dims.ts";
import { type Graph, neededNodes, type Value } from "../graph/graph.ts";
import { bytesPerElement, sizeOf } from "../tensor/tensor.ts";

/**
 * Bytes of so many parameters in one session: ONNX Runtime makes a float32 copy per session, also of f16 and bf16
 * (it folds the cast), and repacks it in place.
 */
export function weightBytes(parameters: number): number {
  return 4 * parameters;
}

/** Bytes of the weights that a session of this graph will hold. */
export function graphWeightBytes(graph: Graph): number {
  const weights = new Set<Value>();
  for (const node of neededNodes(graph)) {
    for (const input of node.inputs) if (input?.origin.kind === "weight") weights.add(input);
  }
  let parameters = 0;
  for (const { dims } of weights) parameters += sizeOf(dims as readonly number[]);
  return weightBytes(parameters);
}

/** Bytes of keys and values of all layers for so many tokens. */
export function kvCacheBytes(
  sizes: { readonly n_layers: number; readonly n_kv_heads: number; readonly d_head: number },
  tokens: number,
): number {
  return 2 * 4 * sizes.n_layers * sizes.n_kv_heads * sizes.d_head * tokens;
}

/** Largest number of bytes that a run's intermediate values and outputs take at one time, if none is fused away. */
export function activationBytes(graph: Graph, sizes: Readonly<Record<string, number>>): number {
  const nodes = neededNodes(graph);
  const lastUse = new Map<Value, number>();
  nodes.forEach(({ inputs }, at) => inputs.forEach((input) => input && lastUse.set(input, at)));
  for (const value of graph.outputs.values()) lastUse.set(value, nodes.length);
  const names = new Map(Object.entries(sizes));
  let live = 0;
  let most = 0;
  nodes.forEach((node, at) => {
    for (const output of node.outputs) live += bytesOf(output, names);
    most = Math.max(most, live);
    for (const output of node.outputs) if (!lastUse.has(output)) live -= bytesOf(output, names);
    for (const input of new Set(node.inputs)) {
      const isOwn = input?.origin.kind === "node" && !fromWeights(input);
      if (isOwn && lastUse.get(input) === at) live -= bytesOf(input, names);
    }
  });
  return most;
}

/** A widened weight counts as weight, not as activation. */
function fromWeights(value: Value): boolean {
  if (value.origin.kind !== "node") return true;
  return value.origin.node.inputs.every((input) => input === undefined || fromConstant(input));
}

function fromConstant(value: Value): boolean {
  return value.origin.kind === "weight" || value.origin.kind === "constant";
}

function bytesOf(value: Value, names: ReadonlyMap<string, number>): number {
  if (fromWeights(value)) return 0;
  let bytes = bytesPerElement[value.dtype];
  for (const dim of value.dims) {
    const size = evaluateDim(dim, names);
    assert(size !== undefined, `no size given for ${dim} of ${value.graph.name}`);
    bytes *= size;
  }
  return bytes;
}
