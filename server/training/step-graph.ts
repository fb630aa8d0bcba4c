/** What every graph of a training step returns, and how it is read. */
import { add, cast, concat, equal, mul, not, reduceSum, reshape } from "../graph/ops/index.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { nextName } from "../runtime/device.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import type { CommonConfig } from "./common-config.ts";
import {
  type DenseInputs,
  type DenseModel,
  type DenseRecipe,
  gradientsOf,
  hasWeights,
  type StepVariant,
} from "./dense-recipe.ts";
import type { Forward } from "./form.ts";

/**
 * Adds loss, parts, metrics and what fired to the graph's outputs; returns what was built and the gradients by
 * parameters' names.
 */
export function addStep(
  config: CommonConfig,
  recipe: DenseRecipe,
  inputs: DenseInputs,
  variant: StepVariant,
): { readonly model: DenseModel; readonly gradients: ReadonlyMap<string, Value> } {
  const { graph, dx_hat } = inputs;
  const model = recipe.build(inputs, variant);
  const squaredError = model.squaredError ?? model.parts["mse_loss"]!;
  const parts = config.endToEnd
    ? { ...model.parts, mse_loss: mul(squaredError, config.endToEnd.mse) }
    : model.parts;
  const loss = Object.values(parts).reduce((sum, part) => add(sum, part));
  const behind = dx_hat && reduceSum(mul(model.x_hat, dx_hat), [0, 1]);
  const all = gradientsOf(behind ? add(loss, behind) : loss, model, inputs);
  graph.output("loss", loss);
  graph.output("squared error", squaredError);
  if (dx_hat) graph.output("x_hat", cast(model.x_hat, "float32"));
  const named = { part: parts, metric: model.metrics ?? {}, fact: model.facts ?? {} };
  for (const [kind, values] of Object.entries(named))
    for (const [name, value] of Object.entries(values)) graph.output(`${kind} ${name}`, value);
  graph.output("counts", reduceSum(cast(not(equal(model.acts, 0)), "float32"), [0]));
  return { model, gradients: all };
}

/** The outputs that a step needs in our memory. */
export function stepOutputs({ outputs }: Graph): string[] {
  const others = ["errors", "x_hat"];
  return [...outputs.keys()].filter((it) => !others.includes(it) && !it.startsWith(nextName("")));
}

/** Output in which `pack` joins others. */
export const packed = "packed";

/**
 * Joins outputs into one, because every output that leaves a GPU is waited for by itself. Returns what takes it apart again.
 */
export function pack(graph: Graph): (out: Tensor) => Record<string, Tensor> {
  const names = stepOutputs(graph);
  const values = names.map((name) => cast(graph.outputs.get(name)!, "float32"));
  graph.output(
    packed,
    concat(
      values.map((it) => reshape(it, [-1])),
      0,
    ),
  );
  const sizes = values.map(({ dims }) => sizeOf(dims as readonly number[]));
  return ({ data }) => {
    let at = 0;
    const parts = names.map((name, i) => {
      const own = (data as Float32Array).subarray(at, (at += sizes[i]!));
      return [name, tensor("float32", [own.length], own)] as const;
    });
    return Object.fromEntries(parts);
  };
}

/** Outputs that are numbers, by the names after their kind. */
export function numbersOf(
  kind: "part" | "metric" | "fact",
  out: Readonly<Record<string, Tensor>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(out)
      .filter(([name]) => name.startsWith(`${kind} `))
      .map(([name, { data }]) => [name.slice(kind.length + 1), Number(data[0])]),
  );
}

/** What the outputs say of a step. */
export function readStep(
  config: CommonConfig,
  rows: number,
  out: Readonly<Record<string, Tensor>>,
): Omit<Forward, "metrics" | "parts"> & {
  parts: Record<string, number>;
  metrics: Record<string, number>;
} {
  const counts = out["counts"]!.data as Float32Array;
  let active = 0;
  for (const count of counts) active += count;
  return {
    loss: Number(out["loss"]!.data[0]),
    parts: numbersOf("part", out),
    metrics: numbersOf("metric", out),
    fired: Uint8Array.from(counts, (n) => (n > 0 ? 1 : 0)),
    l0: active / rows,
    ...(hasWeights(config) ? {} : { squaredError: Number(out["squared error"]!.data[0]) }),
  };
}
