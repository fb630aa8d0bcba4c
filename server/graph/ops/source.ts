/**
 * Values that come from outside a graph's nodes: constants (weights and inputs are methods of `Graph`).
 */
import type { DType, Tensor } from "../../tensor/tensor.ts";
import type { Graph, Value } from "../graph.ts";
import { scalarTensor } from "../small-tensor.ts";

/** A constant; equal constants of a graph are one value. */
export function constant(graph: Graph, tensor: Tensor): Value {
  return graph.constant(tensor);
}

/** A rank-0 constant. */
export function scalar(graph: Graph, value: number, dtype: DType = "float32"): Value {
  return graph.constant(scalarTensor(value, dtype));
}
