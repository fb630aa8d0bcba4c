/** `optimizer.ts` as a graph: from parameters, gradients and Adam's averages to their next values. */
import type { Graph, Value } from "../graph/graph.ts";
import {
  add,
  cast,
  div,
  minimum,
  mul,
  reciprocal,
  reduceSum,
  sqrt,
  sub,
} from "../graph/ops/index.ts";
import { nextName } from "../runtime/device.ts";
import type { OptimizerConfig } from "./optimizer.ts";
import type { Parameters } from "./parameters.ts";

/** Names of a parameter's averages among a graph's inputs. */
export const averageNames = (name: string): { mean: string; square: string } => ({
  mean: `mean ${name}`,
  square: `square ${name}`,
});

/** Factors of Adam's step that depend on its number, as the graph is fed them. */
export function adamFactors({ adam }: OptimizerConfig, { step, lr }: { step: number; lr: number }) {
  return {
    stepSize: lr / (1 - adam.beta1 ** (step + 1)),
    rootCorrection: Math.sqrt(1 - adam.beta2 ** (step + 1)),
  };
}

/**
 * Adds the next values of all parameters and averages to the graph's outputs; returns the norm of all gradients after
 * projection and before clipping, `[]`. `values` and `gradients` are by parameters' names.
 */
export function addOptimizer(
  graph: Graph,
  config: OptimizerConfig,
  parameters: Parameters,
  {
    values,
    gradients,
  }: { values: ReadonlyMap<string, Value>; gradients: ReadonlyMap<string, Value> },
): Value {
  const { adam, clipGradNorm, decoder } = config;
  const stepSize = graph.input("stepSize", "float32", []);
  const rootCorrection = graph.input("rootCorrection", "float32", []);
  // Where the loss is computed in double precision, the step is not: as in `optimizer.ts`.
  const valueOf = (name: string) => cast(values.get(name)!, "float32");
  const isUnit = (name: string) => name === "W_dec" && decoder.kind === "unit";
  const projected = parameters.all.map(({ name }) => {
    const [value, grad] = [valueOf(name), cast(gradients.get(name)!, "float32")];
    return decoder.kind === "unit" && isUnit(name)
      ? withoutParallel(value, grad, decoder.gradientEps)
      : grad;
  });
  const norm = sqrt(projected.map(sumOfSquares).reduce((sum, one) => add(sum, one)));
  // torch.nn.utils.clip_grad_norm_
  const scale =
    clipGradNorm === null ? undefined : minimum(mul(reciprocal(add(norm, 1e-6)), clipGradNorm), 1);
  parameters.all.forEach(({ name, dims }, at) => {
    const names = averageNames(name);
    const mean = graph.input(names.mean, "float32", dims);
    const square = graph.input(names.square, "float32", dims);
    const g = scale ? mul(projected[at]!, scale) : projected[at]!;
    const nextMean = add(g, mul(sub(mean, g), adam.beta1));
    const nextSquare = add(mul(square, adam.beta2), mul(mul(g, g), 1 - adam.beta2));
    const denominator = add(div(sqrt(nextSquare), rootCorrection), adam.eps);
    const moved = sub(valueOf(name), div(mul(nextMean, stepSize), denominator));
    const next =
      decoder.kind === "unit" && isUnit(name)
        ? div(moved, add(rowNorms(moved), decoder.normEps))
        : moved;
    graph.output(nextName(name), next);
    graph.output(nextName(names.mean), nextMean);
    graph.output(nextName(names.square), nextSquare);
  });
  return norm;
}

/** Takes from each row of the gradient its part along the parameter's row. */
function withoutParallel(value: Value, grad: Value, eps: number): Value {
  const inverse = reciprocal(add(rowNorms(value), eps));
  const parallel = mul(reduceSum(mul(grad, value), [1], true), inverse);
  return sub(grad, mul(value, mul(parallel, inverse)));
}

/** `[n, m] -> [n, 1]` */
function rowNorms(rows: Value): Value {
  return sqrt(reduceSum(mul(rows, rows), [1], true));
}

/** Row by row first: a sum of millions of terms in one go would be rounded too often. `-> []` */
function sumOfSquares(x: Value): Value {
  const squares = mul(x, x);
  return reduceSum(x.dims.length > 1 ? reduceSum(squares, [1]) : squares, [0]);
}
