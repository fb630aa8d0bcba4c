/**
 * Training that stays on the device: parameters and Adam's averages lie in its memory from step to step, one graph takes
 * the whole step, and what comes back is the loss, a few numbers and how often each latent fired. For devices that
 * keep tensors between runs (WebGPU), and configs in which nothing outside needs the gradients.
 */
import type { Graph } from "../graph/graph.ts";
import { DeviceState, type Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import {
  denseFeeds,
  DenseInputs,
  type DenseRecipe,
  isDouble,
  type StepVariant,
} from "./dense-recipe.ts";
import { adamFactors, addOptimizer, averageNames } from "./device-optimizer.ts";
import type { Explanation, FormParts, Forward, StepFacts, TrainingForm } from "./form.ts";
import type { Parameters } from "./parameters.ts";
import { buildStep, numbersOf, pack, readStep } from "./step-graph.ts";

/** Output in which everything is joined that comes back. */
const packed = "packed";

/** Whether training can stay on the device. */
export function canStay({ config, device }: Pick<FormParts, "config" | "device">): boolean {
  // Below that size double precision on the CPU costs nothing.
  return device.keepsTensors && !isDouble(config) && isAlone(config);
}

/** Whether nothing but the SAE's own loss changes its parameters. */
export function isAlone(config: FormParts["config"]): boolean {
  const resamples = "resample" in config && config.resample !== null;
  return !resamples && !config.endToEnd && !config.adversary && !config.attribution;
}

interface StepSession {
  readonly session: Session;
  readonly graph: Graph;
  readonly unpack: (out: Tensor) => Record<string, Tensor>;
}

/** Opens the form of a recipe; its graphs are loaded when they are first needed. */
export class ResidentForm implements TrainingForm {
  readonly #parts: FormParts;
  readonly #recipe: DenseRecipe;
  readonly #state: DeviceState;
  readonly #sessions = new Map<string, StepSession>();
  /** Candidates of a stretch: grows where a batch needed more. It changes no result. */
  #candidates: number;
  /** The device has the present values, and our memory has not; or the other way round. */
  #isAhead = false;
  #isBehind = true;

  constructor(parts: FormParts, recipe: DenseRecipe) {
    this.#parts = parts;
    this.#recipe = recipe;
    this.#state = new DeviceState(parts.device);
    this.#candidates = recipe.candidates?.first ?? 0;
  }

  workBytes(): number {
    return 0;
  }

  place(): void {}

  async forward(batch: Batch, facts: StepFacts): Promise<Forward> {
    const { config, parameters } = this.#parts;
    const recipe = this.#recipe;
    if (this.#isBehind) this.#state.set(stateOf(parameters));
    this.#isBehind = false;
    const { dead, step } = facts;
    const { rows } = batch;
    const mask = recipe.hasDeadVariant
      ? dead.during(new Uint8Array(config.d_sae), rows)
      : dead.before();
    const out = await this.#run(batch, mask, facts);
    const found = readStep(config, rows, out);
    const numbers = recipe.completed?.(found) ?? found;
    const metrics = { ...numbers.metrics };
    return {
      ...found,
      parts: numbers.parts,
      metrics,
      take: () => {
        this.#state.commit();
        this.#isAhead = true;
        return Number(out["gradNorm"]!.data[0]);
      },
      commit: () => {
        const all = { ...numbers.parts, ...metrics };
        Object.assign(metrics, recipe.commit?.(step, all, numbersOf("fact", out)));
      },
    };
  }

  async settle(): Promise<void> {
    if (!this.#isAhead) return;
    const { parameters } = this.#parts;
    const found = await this.#state.read();
    const array = (name: string) => found.get(name)!.data as Float32Array;
    for (const { name, value, mean, square } of parameters.all) {
      const names = averageNames(name);
      value.set(array(name));
      mean.set(array(names.mean));
      square.set(array(names.square));
    }
    this.#isAhead = false;
  }

  explain(): Promise<Explanation> {
    throw new Error("bug: asked to explain rows by parameters that stay on the device");
  }

  attribute(): Promise<number> {
    throw new Error("bug: asked for attributions by parameters that stay on the device");
  }

  threshold(): number | undefined {
    return this.#recipe.average?.value;
  }

  finalThreshold(): number | undefined {
    return this.#recipe.average?.final;
  }

  state(): Map<string, Tensor> {
    if (this.#isAhead) throw new Error("bug: the state of a trainer that has not settled");
    return this.#recipe.state?.() ?? new Map();
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    this.#recipe.restore?.(state);
    this.#isAhead = false;
    this.#isBehind = true;
  }

  async release(): Promise<void> {
    this.#state.release();
    for (const { session } of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  /** Runs the step; once more with more candidates where one may have been overlooked. */
  async #run(batch: Batch, mask: Uint8Array, { step, lr, signal }: StepFacts) {
    const recipe = this.#recipe;
    const dead = recipe.hasDeadVariant === true && mask.includes(1);
    const { most = 0 } = recipe.candidates ?? {};
    for (;;) {
      const { session, graph, unpack } = await this.#session({
        dead,
        candidates: this.#candidates,
      });
      const feeds = this.#feeds(graph, batch, { step, lr, mask });
      const all = await session.advance(this.#state, feeds, signal);
      const out = unpack(all[packed]!);
      const { least = 0, overlooked = 0 } = numbersOf("fact", out);
      if (!(overlooked > 0 && overlooked >= least)) return out;
      this.#state.discard();
      this.#candidates = Math.min(most, 4 * this.#candidates);
    }
  }

  async #session(variant: StepVariant): Promise<StepSession> {
    const key = `${variant.dead} ${variant.candidates}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const { config, parameters, device } = this.#parts;
    const { notNegative } = this.#recipe;
    // No GPU that keeps tensors computes in double precision.
    const single = device.keepsTensors;
    const inputs = new DenseInputs(config, parameters, { single, notNegative });
    const { graph, parameters: values } = inputs;
    const { gradients, outputs } = buildStep(config, this.#recipe, inputs, variant);
    const gradNorm = addOptimizer(graph, config, parameters, { values, gradients });
    const { value, unpack } = pack(new Map([...outputs, ["gradNorm", gradNorm]]));
    graph.output(packed, value);
    const carries = [...stateOf(parameters).keys()];
    const session = await device.load(graph, { label: graph.name, carries });
    const opened = { session, graph, unpack };
    this.#sessions.set(key, opened);
    return opened;
  }

  #feeds(
    graph: Graph,
    batch: Batch,
    { step, lr, mask }: { step: number; lr: number; mask: Uint8Array },
  ): Record<string, Tensor> {
    const { config, parameters } = this.#parts;
    const recipe = this.#recipe;
    const feeds = denseFeeds({ config, parameters, recipe }, batch, step);
    for (const { name } of parameters.all) delete feeds[name];
    for (const [name, value] of Object.entries(adamFactors(config, { step, lr })))
      feeds[name] = tensor("float32", [], Float32Array.of(value));
    const inputs = new Set(graph.inputs.map(({ name }) => name));
    if (inputs.has("dead"))
      feeds["dead"] = tensor("float32", [config.d_sae], Float32Array.from(mask));
    if (inputs.has("kept")) {
      const count = BigInt(recipe.kept!(batch.rows));
      feeds["kept"] = tensor("int64", [1], BigInt64Array.of(count));
    }
    return feeds;
  }
}

/** Values and averages by the graphs' names for them, sharing their numbers. */
function stateOf(parameters: Parameters): Map<string, Tensor> {
  return new Map(
    parameters.all.flatMap(({ name, dims, value, mean, square }) => {
      const names = averageNames(name);
      return [
        [name, tensor("float32", dims, value)],
        [names.mean, tensor("float32", dims, mean)],
        [names.square, tensor("float32", dims, square)],
      ];
    }),
  );
}
