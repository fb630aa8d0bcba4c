/** What else is asked of an architecture with one graph: its errors by its input, and attributions. Loaded when first asked. */
import { gradients } from "../graph/gradients.ts";
import type { Value } from "../graph/graph.ts";
import { abs, add, cast, gemm, matmul, mul, reduceSum, sub } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import {
  denseFeeds,
  DenseInputs,
  type DenseModel,
  type DenseRecipe,
  gradientsOf,
  wholeStep,
} from "./dense-recipe.ts";
import type { Explanation, FormParts } from "./form.ts";

interface Probe {
  readonly session: Session;
  /** Names that its graph takes. */
  readonly inputs: ReadonlySet<string>;
}

/** Graphs beside that of the training step, over the same parameters. */
export class DenseProbes {
  readonly #parts: FormParts;
  readonly #recipe: DenseRecipe;
  readonly #probes = new Map<string, Probe>();

  constructor(parts: FormParts, recipe: DenseRecipe) {
    this.#parts = parts;
    this.#recipe = recipe;
  }

  /** See `TrainingForm.explain`. */
  async explain(batch: Batch, signal?: AbortSignal): Promise<Explanation> {
    const probe = await this.#probe("explain", addExplanation);
    const out = await this.#run(probe, batch, { signal, fetches: ["errors", "gradient"] });
    return {
      squaredErrors: out["errors"]!.data as Float32Array,
      gradient: out["gradient"]!.data as Float32Array,
    };
  }

  /** See `TrainingForm.attribute`. */
  async attribute(batch: Batch, g: Tensor<"float32">, signal?: AbortSignal): Promise<number> {
    const { parameters } = this.#parts;
    const probe = await this.#probe("attribute", addAttribution);
    const fetches = ["loss", ...parameters.all.map(({ name }) => `grad ${name}`)];
    const out = await this.#run(probe, batch, { signal, fetches, feeds: { g } });
    for (const { name, grad } of parameters.all) {
      const more = out[`grad ${name}`]!.data as Float32Array;
      for (let at = 0; at < grad.length; at++) grad[at] = grad[at]! + more[at]!;
    }
    return Number(out["loss"]!.data[0]);
  }

  async release(): Promise<void> {
    for (const { session } of this.#probes.values()) await session.release();
    this.#probes.clear();
  }

  async #probe(
    name: string,
    build: (inputs: DenseInputs, model: DenseModel) => void,
  ): Promise<Probe> {
    const known = this.#probes.get(name);
    if (known) return known;
    const { config, parameters, device } = this.#parts;
    const inputs = new DenseInputs(config, parameters);
    build(inputs, this.#recipe.build(inputs, wholeStep));
    const { graph } = inputs;
    const session = await device.load(graph, { label: `${graph.name}: ${name}` });
    const probe = { session, inputs: new Set(graph.inputs.map((it) => it.name)) };
    this.#probes.set(name, probe);
    return probe;
  }

  #run(
    { session, inputs }: Probe,
    batch: Batch,
    {
      fetches,
      feeds = {},
      signal,
    }: {
      fetches: readonly string[];
      feeds?: Readonly<Record<string, Tensor>>;
      signal: AbortSignal | undefined;
    },
  ) {
    const { d_sae } = this.#parts.config;
    const all: Record<string, Tensor> = {
      ...denseFeeds({ ...this.#parts, recipe: this.#recipe }, batch, 0),
      dead: tensor("float32", [d_sae], new Float32Array(d_sae)),
      dx_hat: tensor("float32", batch.target.dims, new Float32Array(batch.target.data.length)),
      ...feeds,
    };
    const asked = Object.entries(all).filter(([name]) => inputs.has(name));
    return session.run(Object.fromEntries(asked), [...fetches], signal);
  }
}

function addExplanation(inputs: DenseInputs, model: DenseModel): void {
  const { graph, encoded } = inputs;
  const error = sub(model.x_hat, inputs.target);
  const errors = reduceSum(mul(error, error), [1]);
  const total = reduceSum(errors, [0]);
  const dys = model.gradients?.(total, encoded) ?? gradients(total, encoded);
  // The row is what the encoder reads, and what x̂ is compared with.
  const throughTarget: Value = mul(error, -2);
  const gradient = dys.reduce(
    (sum, dy) => add(sum, matmul(dy, inputs.parameter("W_enc"))),
    throughTarget,
  );
  graph.output("errors", cast(errors, "float32"));
  graph.output("gradient", cast(gradient, "float32"));
}

function addAttribution(inputs: DenseInputs, model: DenseModel): void {
  const { graph, target } = inputs;
  const g = inputs.input("g", target.dims);
  const attribution = mul(
    model.acts,
    gemm(g, inputs.parameter("W_dec"), undefined, { transB: true }),
  );
  const loss = reduceSum(abs(attribution), [0, 1]);
  graph.output("loss", cast(loss, "float32"));
  for (const [name, value] of gradientsOf(loss, model, inputs))
    graph.output(`grad ${name}`, cast(value, "float32"));
}
