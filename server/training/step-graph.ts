/** What every graph of a training step returns, and how it is read. */
import { add, cast, concat, equal, mul, not, reduceSum, reshape } from "../graph/ops/index.ts";
import type { Value } from "../graph/graph.ts";
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
 * Builds a step: its gradients by parameters' names, and as outputs loss, parts, metrics, facts and how often each latent
 * fired.
 */
export function buildStep(
  config: CommonConfig,
  recipe: DenseRecipe,
  inputs: DenseInputs,
  variant: StepVariant,
): {
  readonly model: DenseModel;
  readonly gradients: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
} {
  const { dx_hat } = inputs;
  const model = recipe.build(inputs, variant);
  const squaredError = model.squaredError ?? model.parts["mse_loss"]!;
  const parts = config.endToEnd
    ? { ...model.parts, mse_loss: mul(squaredError, config.endToEnd.mse) }
    : model.parts;
  const loss = Object.values(parts).reduce((sum, part) => add(sum, part));
  const behind = dx_hat && reduceSum(mul(model.x_hat, dx_hat), [0, 1]);
  const all = gradientsOf(behind ? add(loss, behind) : loss, model, inputs);
  const outputs = new Map([
    ["loss", loss],
    ["squared error", squaredError],
    ["counts", reduceSum(cast(not(equal(model.acts, 0)), "float32"), [0])],
  ]);
  const named = { part: parts, metric: model.metrics ?? {}, fact: model.facts ?? {} };
  for (const [kind, values] of Object.entries(named))
    for (const [name, value] of Object.entries(values)) outputs.set(`${kind} ${name}`, value);
  return { model, gradients: all, outputs };
}

/** Joins values into one, because every output that leaves a GPU is waited for by itself; and takes its elements apart again. */
export function pack(outputs: ReadonlyMap<string, Value>): {
  readonly value: Value;
  readonly unpack: (out: Tensor) => Record<string, Tensor>;
} {
  const names = [...outputs.keys()];
  const values = [...outputs.values()].map((value) => cast(value, "float32"));
  const value = concat(
    values.map((it) => reshape(it, [-1])),
    0,
  );
  const sizes = values.map(({ dims }) => sizeOf(dims as readonly number[]));
  const unpack = ({ data }: Tensor) => {
    let at = 0;
    const parts = names.map((name, i) => {
      const own = (data as Float32Array).subarray(at, (at += sizes[i]!));
      return [name, tensor("float32", [own.length], own)] as const;
    });
    return Object.fromEntries(parts);
  };
  return { value, unpack };
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
