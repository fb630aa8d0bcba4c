/** An SAE's parameters as values of a graph, in whatever orientation they are stored. */
import { assert } from "../base/errors.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { gemm, transpose } from "../graph/ops/index.ts";
import type { Parameter, Parameters } from "./parameter.ts";

/** Parameters that a graph can use; each is loaded once per graph. */
export class WeightValues {
  readonly #graph: Graph;
  readonly #parameters: Parameters;

  constructor(graph: Graph, parameters: Parameters) {
    this.#graph = graph;
    this.#parameters = parameters;
  }

  /** Whether there is such a parameter. */
  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  /** A parameter in our orientation. A transposed one is turned when the graph is loaded, which costs nothing later. */
  value(name: string): Value {
    const parameter = this.#get(name);
    const stored = this.#graph.weight(name, parameter.source);
    return parameter.transposed ? transpose(stored, [1, 0]) : stored;
  }

  /**
   * x·W + b. `[tokens, n] × [n, m] -> [tokens, m]`; with `flip` x·Wᵀ. Which way W is stored makes no difference in
   * speed or memory: the product takes it as it lies.
   */
  linear(
    x: Value,
    name: string,
    { bias, flip = false }: { bias?: Value; flip?: boolean } = {},
  ): Value {
    const parameter = this.#get(name);
    const stored = this.#graph.weight(name, parameter.source);
    return gemm(x, stored, bias, { transB: parameter.transposed !== flip });
  }

  #get(name: string): Parameter {
    const parameter = this.#parameters.get(name);
    assert(parameter !== undefined, `SAE parameter ${name} was not read`);
    return parameter;
  }
}
