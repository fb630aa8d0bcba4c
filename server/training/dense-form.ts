/**
 * Training with one graph that returns the loss and every gradient whole: for architectures whose latents are active by
 * their own sign or threshold, so that nobody knows beforehand how few they are.
 */
import type { Graph } from "../graph/graph.ts";
import { cast, mul, reduceSum, sub } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import { DenseProbes } from "./dense-probes.ts";
import { denseFeeds, DenseInputs, type DenseRecipe, raise, wholeStep } from "./dense-recipe.ts";
import { downstreamLoss } from "./downstream.ts";
import type { Explanation, FormParts, Forward, StepFacts, TrainingForm } from "./form.ts";
import type { Parameters } from "./parameters.ts";
import { buildStep, readStep } from "./step-graph.ts";

/** Loads the graph of a recipe. */
export async function openDenseForm(all: FormParts, recipe: DenseRecipe): Promise<TrainingForm> {
  const { config, parameters, device } = all;
  const inputs = new DenseInputs(config, parameters);
  const { graph } = inputs;
  const { model, gradients, outputs } = buildStep(config, recipe, inputs, wholeStep);
  for (const [name, value] of outputs) graph.output(name, value);
  if (inputs.dx_hat) graph.output("x_hat", cast(model.x_hat, "float32"));
  const error = sub(model.x_hat, inputs.target);
  graph.output("errors", cast(reduceSum(mul(error, error), [1]), "float32"));
  for (const [name, value] of gradients) graph.output(`grad ${name}`, cast(value, "float32"));
  const session = await device.load(graph, { label: graph.name });
  const { usesDead } = inputs;
  const probes = new DenseProbes(all, recipe);
  return new DenseForm({ config, parameters, recipe, session, graph, usesDead, probes });
}

interface DenseParts {
  readonly config: CommonConfig;
  readonly parameters: Parameters;
  readonly recipe: DenseRecipe;
  readonly session: Session;
  readonly graph: Graph;
  readonly usesDead: boolean;
  readonly probes: DenseProbes;
}

class DenseForm implements TrainingForm {
  readonly #parts: DenseParts;

  constructor(parts: DenseParts) {
    this.#parts = parts;
  }

  workBytes(): number {
    return 0;
  }

  place(): void {}

  async forward(batch: Batch, { step, dead, signal }: StepFacts): Promise<Forward> {
    const { config, parameters, recipe, session, graph } = this.#parts;
    raise(recipe, parameters);
    const mask = dead.before();
    const fetches = [...graph.outputs.keys()].filter((it) => it !== "errors" && it !== "x_hat");
    const feeds = this.#feeds(batch, step, mask);
    const behind = await this.#behind(batch, feeds, signal);
    const out = await session.run({ ...feeds, ...behind?.feeds }, fetches, signal);
    for (const { name, grad } of parameters.all)
      grad.set(out[`grad ${name}`]!.data as Float32Array);
    const found = readStep(config, batch.rows, out);
    const parts = { ...found.parts, ...behind?.parts };
    const { metrics } = found;
    return {
      ...found,
      loss: found.loss + sumOf(behind?.parts ?? {}),
      parts,
      commit: () => Object.assign(metrics, recipe.commit?.(step, { ...parts, ...metrics })),
    };
  }

  async errorNorms(batch: Batch): Promise<Float64Array> {
    const feeds = this.#feeds(batch, 0, new Uint8Array(this.#parts.config.d_sae));
    const { errors } = await this.#parts.session.run({ ...feeds, ...this.#noGradient(batch) }, [
      "errors",
    ]);
    return Float64Array.from(errors!.data as Float32Array, Math.sqrt);
  }

  state(): Map<string, Tensor> {
    return this.#parts.recipe.state?.() ?? new Map();
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    this.#parts.recipe.restore?.(state);
  }

  explain(batch: Batch, signal?: AbortSignal): Promise<Explanation> {
    return this.#parts.probes.explain(batch, signal);
  }

  attribute(batch: Batch, g: Tensor<"float32">, signal?: AbortSignal): Promise<number> {
    return this.#parts.probes.attribute(batch, g, signal);
  }

  async release(): Promise<void> {
    await this.#parts.session.release();
    await this.#parts.probes.release();
  }

  /** Reconstructs first, so that what comes after the SAE can say what it makes of it. */
  async #behind(batch: Batch, feeds: Readonly<Record<string, Tensor>>, signal?: AbortSignal) {
    const { config, session } = this.#parts;
    if (config.endToEnd === null) return undefined;
    const without = { ...feeds, ...this.#noGradient(batch) };
    const { x_hat } = await session.run(without, ["x_hat"], signal);
    const rows = x_hat!.data as Float32Array;
    const { parts, gradient } = await downstreamLoss(batch, rows, config.endToEnd, signal);
    return { parts, feeds: { dx_hat: tensor("float32", batch.target.dims, gradient) } };
  }

  #noGradient({ target }: Batch): Record<string, Tensor> {
    if (this.#parts.config.endToEnd === null) return {};
    return { dx_hat: tensor("float32", target.dims, new Float32Array(target.data.length)) };
  }

  #feeds(batch: Batch, step: number, dead: Uint8Array) {
    const { config, usesDead } = this.#parts;
    const feeds = denseFeeds(this.#parts, batch, step);
    if (usesDead) feeds["dead"] = tensor("float32", [config.d_sae], Float32Array.from(dead));
    return feeds;
  }
}

function sumOf(parts: Readonly<Record<string, number>>): number {
  return Object.values(parts).reduce((sum, part) => sum + part, 0);
}
