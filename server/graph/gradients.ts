/**
 * Reverse-mode gradients: adds to a graph the nodes that compute them, from each op's own rule. A gradient graph is a graph
 * like any other: it prints, keeps symbolic dimensions, and can be differentiated again.
 */
import { assert } from "../base/errors.ts";
import type { Graph, Node, Value } from "./graph.ts";
import { broadcast, printType } from "./op.ts";
import { add } from "./ops/elementwise.ts";
import { reduceSum } from "./ops/reduce.ts";
import { expandLike, squeeze, zerosLike } from "./ops/shape.ts";
import { scalar } from "./ops/source.ts";

/** An output and what flows back into it: the gradient of some number with regard to it, of its shape. */
export interface Cotangent {
  readonly value: Value;
  readonly dy: Value;
}

/** Gradients of one number with regard to each of `wrt`, of their shapes; zeros where it does not depend on one. */
export function gradients(loss: Value, wrt: readonly Value[]): Value[] {
  assert(
    loss.dims.every((dim) => dim === 1),
    `gradients of ${loss.name} in ${loss.graph.name}: it is ${printType(loss)}, not one number`,
  );
  return backward([{ value: loss, dy: scalar(loss.graph, 1, loss.dtype) }], wrt);
}

/**
 * Vector-Jacobian product: Σ over outputs of dy · ∂value/∂w for each w of `wrt`, of their shapes; zeros where no output
 * depends on one. A dy may be of a shape that stretches to its value's. Values of `wrt` may depend on each other.
 */
export function backward(outputs: readonly Cotangent[], wrt: readonly Value[]): Value[] {
  const [first] = outputs;
  assert(first !== undefined, "gradients of nothing");
  // As they stand now: the rules add nodes of their own.
  const nodes = [...first.value.graph.nodes];
  const flow = new GradientFlow(first.value.graph, wrt, nodes);
  for (const { value, dy } of outputs) flow.add(value, dy);
  for (const node of nodes.toReversed()) flow.passThrough(node);
  return wrt.map((value) => {
    const found = flow.at(value);
    return found === undefined ? zerosLike(value) : stretched(found, value);
  });
}

/** Gradients found so far, on the paths that lead from `wrt`. */
class GradientFlow {
  readonly #graph: Graph;
  /** Values that depend on one of `wrt`. */
  readonly #active: Set<Value>;
  /** Each stretches to its value's shape. */
  readonly #found = new Map<Value, Value>();

  constructor(graph: Graph, wrt: readonly Value[], nodes: readonly Node[]) {
    this.#graph = graph;
    this.#active = new Set(wrt);
    for (const value of wrt) {
      assert(isFloat(value), `gradient with regard to ${value.name}: it is ${printType(value)}`);
      assert(value.graph === graph, `${value.name} belongs to graph ${value.graph.name}`);
    }
    for (const { inputs, outputs } of nodes) {
      if (!inputs.some((input) => input && this.#active.has(input))) continue;
      for (const output of outputs) if (isFloat(output)) this.#active.add(output);
    }
  }

  at(value: Value): Value | undefined {
    return this.#found.get(value);
  }

  /** Adds to the gradient of a value, summed down to its shape where it was stretched. */
  add(value: Value, dy: Value): void {
    if (!this.#active.has(value)) return;
    const own = summedDown(dy, value);
    const before = this.#found.get(value);
    this.#found.set(value, before === undefined ? own : add(before, own));
  }

  /** From the gradients of a node's outputs to those of its inputs, by the op's rule. */
  passThrough({ op, inputs, outputs, attrs }: Node): void {
    const isActive = (input: Value | undefined) => input && this.#active.has(input);
    if (!inputs.some(isActive) || !outputs.some((output) => this.#found.has(output))) return;
    const { gradient } = op;
    if (gradient === undefined) {
      throw new Error(
        `${op.name} has no gradient rule, needed for ${outputs[0]!.name} in ${this.#graph.name}`,
      );
    }
    // An input that the op stretched will be summed down, so its gradient must be whole.
    const thin =
      op.elementwise === true &&
      inputs.every((input) => !isActive(input) || isSameShape(input!, outputs[0]!));
    const dys = outputs.map((output) => {
      const dy = this.#found.get(output);
      return dy === undefined || thin ? dy : stretched(dy, output);
    });
    gradient(dys, inputs, outputs, attrs).forEach((dx, i) => {
      if (dx !== undefined && inputs[i] !== undefined) this.add(inputs[i], dx);
    });
  }
}

/** The inverse of broadcasting: one sum over the axes along which `dy` is larger than `value`. */
function summedDown(dy: Value, value: Value): Value {
  const extra = dy.dims.length - value.dims.length;
  const leading = [...dy.dims.keys()].slice(0, Math.max(0, extra));
  const inner = value.dims.flatMap((dim, i) => {
    const axis = i + extra;
    return dim === 1 && axis >= 0 && dy.dims[axis] !== 1 ? [axis] : [];
  });
  let result = dy;
  if (inner.length > 0) {
    const summed = reduceSum(dy, [...leading, ...inner], true);
    result = leading.length > 0 ? squeeze(summed, leading) : summed;
  } else if (leading.length > 0) {
    result = reduceSum(dy, leading);
  }
  const fail = (): never => {
    throw new Error(
      `gradient ${printType(dy)} in ${dy.graph.name} is not one of ${value.name}: ${printType(value)}`,
    );
  };
  if (result.dtype !== value.dtype) fail();
  if (broadcast([result.dims, value.dims], fail).join() !== value.dims.join()) fail();
  return result;
}

function stretched(dy: Value, value: Value): Value {
  return isSameShape(dy, value) ? dy : expandLike(dy, value);
}

function isSameShape(a: Value, b: Value): boolean {
  return a.dims.join() === b.dims.join();
}

function isFloat({ dtype }: Value): boolean {
  return ["float32", "float64", "float16", "bfloat16"].includes(dtype);
}
