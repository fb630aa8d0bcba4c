/** What an architecture says of a training step as one graph, and what it says it with. */
import { gradients } from "../graph/gradients.ts";
import { type Dim, Graph, type Value } from "../graph/graph.ts";
import {
  add,
  cast,
  gemm,
  matmul,
  mul,
  neg,
  relu,
  reduceMean,
  reduceSum,
  split,
  stopGradient,
  sub,
} from "../graph/ops/index.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Parameters } from "./parameters.ts";
import type { ThresholdAverage } from "./threshold-average.ts";

/**
 * Up to so many weights of a matrix the graph computes in double precision, which costs nothing there. Where a gradient
 * nearly cancels out, single precision gives noise, of which Adam makes a step as long as any other.
 */
const mostDoubleWeights = 2 ** 16;

/** Whether the graph computes in double precision. */
export function isDouble({ d_in, d_sae }: Pick<CommonConfig, "d_in" | "d_sae">): boolean {
  return d_in * d_sae <= mostDoubleWeights;
}

interface DenseInputOptions {
  readonly single?: boolean;
  readonly notNegative?: readonly string[] | undefined;
}

interface EncoderProduct {
  /** `[batch, d_sae]` */
  readonly value: Value;
  readonly bias: string | undefined;
  /** Name of the parameter that W_enc is. */
  readonly W_enc: string;
}

/** What a recipe builds its loss from. */
export class DenseInputs {
  readonly graph: Graph;
  /** `[batch, d_in]` */
  readonly x: Value;
  /** `[batch, d_out]` */
  readonly target: Value;
  readonly #config: CommonConfig;
  readonly #parameters: ReadonlyMap<string, Value>;
  /** `[batch, 1]`, where rows do not weigh the same. */
  readonly #weight: Value | undefined;
  readonly #isDouble: boolean;
  /** What flows back into x̂ from behind the SAE, where training is end to end. `[batch, d_out]` */
  readonly dx_hat: Value | undefined;
  readonly #scalars = new Map<string, Value>();
  readonly #encoders: EncoderProduct[] = [];
  /** x, or x − b_dec. */
  #centred: Value | undefined;
  #dead: Value | undefined;

  /** `single`: in float32 whatever the size; `notNegative`: parameters of which what is below 0 counts as 0. */
  constructor(
    config: CommonConfig,
    parameters: Parameters,
    { single = false, notNegative = [] }: DenseInputOptions = {},
  ) {
    const graph = new Graph(`${config.d_sae} latents: training step`);
    this.graph = graph;
    this.#config = config;
    this.#isDouble = !single && isDouble(config);
    this.x = this.#input("x", ["batch", config.d_in]);
    const width = config.d_out ?? config.d_in;
    this.target = hasOwnTarget(config) ? this.#input("target", ["batch", width]) : this.x;
    this.#weight = hasWeights(config) ? this.#input("weight", ["batch", 1]) : undefined;
    this.dx_hat = config.endToEnd ? this.#input("dx_hat", ["batch", width]) : undefined;
    this.#parameters = new Map(
      parameters.all.map(({ name, dims }) => {
        const value = this.#input(name, dims);
        return [name, notNegative.includes(name) ? relu(value) : value];
      }),
    );
  }

  /** Values of the parameters, in the orientation in which they are trained. */
  get parameters(): ReadonlyMap<string, Value> {
    return this.#parameters;
  }

  parameter(name: string): Value {
    const found = this.#parameters.get(name === "W_enc" && this.#config.tied ? "W_dec" : name);
    if (found === undefined) throw new Error(`bug: no parameter ${name}`);
    return found;
  }

  /** A number that the recipe feeds at every step. */
  scalar(name: string): Value {
    const known = this.#scalars.get(name);
    if (known) return known;
    const value = this.#input(name, []);
    this.#scalars.set(name, value);
    return value;
  }

  /** 1 for latents that are dead in this step, else 0. `[d_sae]` */
  get dead(): Value {
    this.#dead ??= this.#input("dead", [this.#config.d_sae]);
    return this.#dead;
  }

  get usesDead(): boolean {
    return this.#dead !== undefined;
  }

  /**
   * x·W_enc + bias, from the input less b_dec where the config says so. `-> [batch, d_sae]` Gradients end at what is
   * returned; `encoderGradients` leads them on.
   */
  encodeLinear(bias?: string): Value {
    const { tied, applyBDecToInput } = this.#config;
    const W_enc = this.parameter("W_enc");
    this.#centred ??= applyBDecToInput ? sub(this.x, this.parameter("b_dec")) : this.x;
    const b = bias === undefined ? undefined : this.parameter(bias);
    const value = stopGradient(gemm(this.#centred, W_enc, b, { transB: true }));
    this.#encoders.push({ value, bias, W_enc: tied ? "W_dec" : "W_enc" });
    return value;
  }

  /** What `encodeLinear` returned, in the order of its calls. */
  get encoded(): readonly Value[] {
    return this.#encoders.map(({ value }) => value);
  }

  /**
   * Adds to the gradients of W_enc, its biases and b_dec what flows back into the encoder's products. Written out,
   * because b_dec then takes a vector's product with W_enc, where the rule for x − b_dec would take a matrix's.
   */
  encoderGradients(dys: readonly Value[], found: Map<string, Value>): void {
    const put = (name: string, more: Value) => found.set(name, add(found.get(name)!, more));
    this.#encoders.forEach(({ bias, W_enc }, at) => {
      const dy = dys[at]!;
      put(W_enc, gemm(dy, this.#centred!, undefined, { transA: true }));
      if (bias === undefined && !this.#config.applyBDecToInput) return;
      const sums = reduceSum(dy, [0]);
      if (bias !== undefined) put(bias, sums);
      if (this.#config.applyBDecToInput) put("b_dec", neg(matmul(sums, this.parameter(W_enc))));
    });
  }

  /** acts·W_dec + b_dec, with the path beside the latents. `[batch, d_sae] -> [batch, d_out]` */
  decode(acts: Value): Value {
    return this.#withSkip(gemm(acts, this.parameter("W_dec"), this.parameter("b_dec")));
  }

  /** `decode` of the latents before each end alone; the last end is d_sae. `[batch, d_sae] -> [batch, d_out]` each */
  decodeLevels(acts: Value, ends: readonly number[]): Value[] {
    if (ends.length === 1) return [this.decode(acts)];
    const sizes = ends.map((end, at) => end - (ends[at - 1] ?? 0));
    const rows = split(this.parameter("W_dec"), sizes, 0);
    const levels: Value[] = [];
    split(acts, sizes, 1).forEach((own, at) => {
      const before = levels.at(-1);
      levels.push(
        before
          ? add(before, matmul(own, rows[at]!))
          : this.#withSkip(gemm(own, rows[at]!, this.parameter("b_dec"))),
      );
    });
    return levels;
  }

  #withSkip(x_hat: Value): Value {
    if (!this.#config.skip) return x_hat;
    return add(x_hat, gemm(this.x, this.parameter("W_skip"), undefined, { transB: true }));
  }

  /** A float32 input, in the precision in which the graph computes. */
  input(name: string, dims: readonly Dim[]): Value {
    return this.#input(name, dims);
  }

  #input(name: string, dims: readonly Dim[]): Value {
    const value = this.graph.input(name, "float32", dims);
    return this.#isDouble ? cast(value, "float64") : value;
  }

  /** Mean over rows of the squared error. */
  meanSquaredError(x_hat: Value): Value {
    const error = sub(x_hat, this.target);
    const rows = reduceSum(mul(error, error), [1], true);
    return reduceMean(this.#weight ? mul(rows, this.#weight) : rows, [0, 1]);
  }
}

/** What a recipe answers. */
export interface DenseModel {
  /** Summands of the loss. */
  readonly parts: Readonly<Record<string, Value>>;
  /** `[batch, d_sae]`; where it is not 0, the latent fired. */
  readonly acts: Value;
  /** `[batch, d_out]` */
  readonly x_hat: Value;
  /** Mean over rows of ‖x̂ − target‖² with row weights; that part of the loss which is named mse_loss by default. */
  readonly squaredError?: Value;
  /** Numbers to be returned beside. */
  readonly metrics?: Readonly<Record<string, Value>>;
  /** Numbers for the form and not for the report. */
  readonly facts?: Readonly<Record<string, Value>>;
  /** Gradients of the loss, by parameters and by what the encoder returned, where they are not those of its expression. */
  gradients?(loss: Value, wrt: readonly Value[]): Value[];
}

/** Summands of the loss, and what is reported beside. */
export interface NumbersOfStep {
  readonly parts: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** What a step's graph depends on beside its config. */
export interface StepVariant {
  /** There are dead latents. */
  readonly dead: boolean;
  /** How many candidates of each stretch of latents a choice among a whole batch looks at (`largest-on-device.ts`). */
  readonly candidates: number;
}

/** That of one graph for all steps. */
export const wholeStep: StepVariant = { dead: true, candidates: 0 };

/** What an architecture adds to a dense form. */
export interface DenseRecipe {
  build(inputs: DenseInputs, variant: StepVariant): DenseModel;
  /** The numbers that `DenseInputs.scalar` asked for. */
  scalars(step: number): Readonly<Record<string, number>>;
  /** Parameters that are put back to 0 where they have fallen below, before they are used. */
  readonly notNegative?: readonly string[] | undefined;
  /** Enters a step that was taken, with parts and metrics, and facts; returns what to report beside. */
  commit?(
    step: number,
    found: Readonly<Record<string, number>>,
    facts?: Readonly<Record<string, number>>,
  ): Readonly<Record<string, number>>;
  /** Whether steps with dead latents have a graph of their own. */
  readonly hasDeadVariant?: boolean;
  /** Of a choice among a whole batch: candidates of a stretch at first, and all that it has; and how many are kept. */
  readonly candidates?: { readonly first: number; readonly most: number };
  kept?(rows: number): number;
  /** Parts and metrics of a step, from those of its variant. */
  completed?(found: NumbersOfStep): NumbersOfStep;
  readonly average?: ThresholdAverage;
  state?(): Map<string, Tensor>;
  restore?(state: ReadonlyMap<string, Tensor>): void;
}

/** Puts parameters back to 0 where the recipe wants them so. */
export function raise({ notNegative = [] }: DenseRecipe, parameters: Parameters): void {
  for (const name of notNegative) {
    const { value } = parameters.get(name);
    value.forEach((it, at) => (value[at] = Math.max(it, 0)));
  }
}

/** Gradients of the loss by parameters' names. */
export function gradientsOf(
  loss: Value,
  model: DenseModel,
  inputs: DenseInputs,
): Map<string, Value> {
  const names = [...inputs.parameters.keys()];
  const wrt = [...inputs.parameters.values(), ...inputs.encoded];
  const all = model.gradients?.(loss, wrt) ?? gradients(loss, wrt);
  const found = new Map(names.map((name, at) => [name, all[at]!]));
  inputs.encoderGradients(all.slice(names.length), found);
  return found;
}

/** What a recipe's graph is fed, but the mask of dead latents. */
export function denseFeeds(
  {
    config,
    parameters,
    recipe,
  }: {
    readonly config: CommonConfig;
    readonly parameters: Parameters;
    readonly recipe: DenseRecipe;
  },
  { rows, x, target, weight }: Batch,
  step: number,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = { x };
  if (hasOwnTarget(config)) feeds["target"] = target;
  if (hasWeights(config)) feeds["weight"] = tensor("float32", [rows, 1], weight!);
  for (const { name } of parameters.all) feeds[name] = parameters.feed(name);
  for (const [name, value] of Object.entries(recipe.scalars(step)))
    feeds[name] = tensor("float32", [], Float32Array.of(value));
  return feeds;
}

/** The decoder's output is compared with something else than the encoder's input. */
function hasOwnTarget({ d_out, normalizeActivations }: CommonConfig): boolean {
  return d_out !== null || normalizeActivations.kind === "layer_norm";
}

/** Each row's error is scaled by its own factor. */
export function hasWeights({ normalizeActivations: { kind } }: CommonConfig): boolean {
  return kind === "layer_norm" || kind === "constant_norm_rescale";
}
