/** What is done to activations before the SAE sees them, and what becomes of it in the finished SAE. */
import { unreachable } from "../base/errors.ts";
import type { Device, Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { TaskRows } from "./attribution.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Downstream } from "./downstream.ts";
import { noSpread, statisticsMissing } from "./errors.ts";
import { float64Of } from "./parameters.ts";
import {
  Covariance,
  covarianceGraph,
  foldWhitening,
  type Whitening,
  whiteningGraph,
} from "./whitening.ts";

/** Activations as they were harvested; the target is what a transcoder predicts. */
export interface RawBatch {
  readonly x: Tensor<"float32">;
  readonly target?: Tensor<"float32">;
  /** What comes after the SAE's place, for end-to-end training. */
  readonly downstream?: Downstream;
  /** Rows of a labelled task, for a penalty on attribution. */
  readonly task?: TaskRows;
}

/** What the trainer works on. */
export interface Batch {
  readonly rows: number;
  /** `[rows, d_in]` */
  readonly x: Tensor<"float32">;
  /** `[rows, d_out]`, in the units of the decoder's output. */
  readonly target: Tensor<"float32">;
  /** `[rows]`: the factor of each row's squared error, where undoing the normalisation changes its length. */
  readonly weight?: Float32Array;
  /** Units of the decoder's output: activations times this. Undefined where it differs from row to row or by direction. */
  readonly scale?: number;
  readonly downstream?: Downstream;
}

/** Parameters in the outer orientation, and the threshold of a BatchTopK-like SAE in the units of its activations. */
export interface FoldedParts {
  readonly parameters: ReadonlyMap<string, Tensor<"float32">>;
  readonly threshold?: number;
}

/** What folding needs to know of the config. */
export interface FoldFacts {
  readonly applyBDecToInput: boolean;
  /** Activations, and so the threshold, are in units of the norms of W_dec's rows. */
  readonly rescaled: boolean;
}

/** The normalisation of one run. */
export interface ActivationNormalization {
  /** Batches that it wants to see before the first step; 0 when it needs none. */
  readonly observations: number;
  /** Takes a batch into its statistics. */
  observe(batch: RawBatch): Promise<void>;
  apply(batch: RawBatch): Promise<Batch>;
  /** The same function on raw activations. */
  fold(parts: FoldedParts, facts: FoldFacts): FoldedParts;
  /** Folding it changes the norms of W_dec's rows by different factors. */
  readonly changesNorms: boolean;
  /** `normalize_activations` of the finished SAE. */
  readonly remaining: "none" | "constant_norm_rescale" | "layer_norm";
  /** Statistics; empty before there are any. */
  state(): Map<string, Tensor>;
  restore(state: ReadonlyMap<string, Tensor>): void;
  release(): Promise<void>;
}

/** The normalisation that a config asks for. */
export function openNormalization(
  config: Pick<CommonConfig, "normalizeActivations" | "d_in" | "d_out">,
  device: Device,
): ActivationNormalization {
  const { normalizeActivations: rule, d_in } = config;
  switch (rule.kind) {
    case "none":
      return { ...nothing, remaining: "none", apply: async (batch) => plain(batch) };
    case "constant_norm_rescale":
      return { ...nothing, remaining: rule.kind, apply: async ({ x }) => rescaled(x) };
    case "layer_norm":
      return { ...nothing, remaining: rule.kind, apply: async ({ x }) => standardised(x) };
    case "scale":
      return new Scale(rule, config);
    case "covariance_whitening":
      return new WhiteningNormalization(rule, d_in, device);
    default:
      return unreachable(rule);
  }
}

const nothing = {
  observations: 0,
  changesNorms: false,
  observe: async (): Promise<void> => {},
  fold: (parts: FoldedParts): FoldedParts => parts,
  state: (): Map<string, Tensor> => new Map(),
  restore: (): void => {},
  release: async (): Promise<void> => {},
};

function plain({ x, target }: RawBatch): Batch {
  return { rows: x.dims[0]!, x, target: target ?? x, scale: 1 };
}

/** x·√d_in/‖x‖. sae-lens@6.54 saes/sae.py `_setup_activation_normalization`. */
function rescaled(x: Tensor<"float32">): Batch {
  const [rows = 0, d = 0] = x.dims;
  const out = new Float32Array(x.data.length);
  const weight = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let at = row * d; at < (row + 1) * d; at++) squares += x.data[at]! ** 2;
    const factor = Math.fround(Math.sqrt(d / squares));
    weight[row] = 1 / factor ** 2;
    for (let at = row * d; at < (row + 1) * d; at++) out[at] = x.data[at]! * factor;
  }
  const normal = tensor("float32", x.dims, out);
  return { rows, x: normal, target: normal, weight };
}

/** (x − mean)/(std + 1e-5); the output is compared as x̂·std + mean, so the target has no 1e-5. */
function standardised(x: Tensor<"float32">): Batch {
  const [rows = 0, d = 0] = x.dims;
  const out = new Float32Array(x.data.length);
  const target = new Float32Array(x.data.length);
  const weight = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let at = row * d; at < (row + 1) * d; at++) sum += x.data[at]!;
    const mean = sum / d;
    let squares = 0;
    for (let at = row * d; at < (row + 1) * d; at++) squares += (x.data[at]! - mean) ** 2;
    const std = Math.sqrt(squares / (d - 1));
    weight[row] = std ** 2;
    for (let at = row * d; at < (row + 1) * d; at++) {
      out[at] = (x.data[at]! - mean) / (std + 1e-5);
      target[at] = (x.data[at]! - mean) / std;
    }
  }
  const of = (data: Float32Array) => tensor("float32", x.dims, data);
  return { rows, x: of(out), target: of(target), weight };
}

type Rule<K extends string> = Extract<CommonConfig["normalizeActivations"], { kind: K }>;

/** One factor for all activations, and one for a transcoder's targets. */
class Scale implements ActivationNormalization {
  readonly remaining = "none" as const;
  readonly changesNorms = false;
  readonly observations: number;
  readonly #rule: Rule<"scale">;
  readonly #widths: readonly number[];
  /** Of x, then of the target. */
  readonly #factors: (number | undefined)[];
  readonly #sums: LengthSum[];

  constructor(rule: Rule<"scale">, { d_in, d_out }: Pick<CommonConfig, "d_in" | "d_out">) {
    this.#rule = rule;
    this.#widths = d_out === null ? [d_in] : [d_in, d_out];
    this.#factors = [rule.factor ?? undefined, rule.targetFactor ?? undefined];
    this.#factors.length = this.#widths.length;
    this.#sums = this.#widths.map(() => new LengthSum());
    this.observations = this.#factors.every((factor) => factor !== undefined) ? 0 : rule.batches;
  }

  async observe({ x, target }: RawBatch): Promise<void> {
    [x, target].forEach((it, at) => it && this.#sums[at]?.add(it));
  }

  async apply({ x, target }: RawBatch): Promise<Batch> {
    const scaled = times(x, this.#factor(0));
    const rows = x.dims[0]!;
    return {
      rows,
      x: scaled,
      target: target ? times(target, this.#factor(1)) : scaled,
      scale: this.#factor(this.#widths.length - 1),
    };
  }

  fold({ parameters, threshold }: FoldedParts, { rescaled: inNorms }: FoldFacts): FoldedParts {
    const [into, out] = [this.#factor(0), this.#factor(this.#widths.length - 1)];
    const folded = new Map(parameters);
    const scale = (name: string, factor: number) => {
      const found = parameters.get(name);
      if (found) folded.set(name, times(found, factor));
    };
    scale("b_dec", 1 / out);
    if (this.#rule.fold === "weights") {
      scale("W_enc", into);
      scale("W_dec", 1 / out);
      scale("W_skip", into / out);
      // SAELens multiplies activations by decoder norms, which have just become 1/out of what they were.
      return parts(folded, threshold, inNorms ? 1 / out : 1);
    }
    for (const name of ["b_enc", "b_gate", "b_mag", "threshold"]) scale(name, 1 / into);
    scale("W_dec", into / out);
    scale("W_skip", into / out);
    return parts(folded, threshold, inNorms ? 1 / out : 1 / into);
  }

  state(): Map<string, Tensor> {
    if (this.#factors.includes(undefined) && this.#sums[0]!.batches === 0) return new Map();
    const factors = Float64Array.from(this.#widths, (_, at) => this.#factor(at));
    return new Map([["normalization/factors", tensor("float64", [factors.length], factors)]]);
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    if (!state.has("normalization/factors")) return;
    float64Of(state, "normalization/factors", [this.#widths.length]).forEach(
      (it, at) => (this.#factors[at] = it),
    );
  }

  async release(): Promise<void> {}

  #factor(at: number): number {
    const { batches, unit } = this.#rule;
    const sum = this.#sums[at]!;
    const known = this.#factors[at];
    if (known !== undefined) return known;
    if (sum.batches < batches) throw statisticsMissing(sum.batches, batches);
    const factor =
      unit === "one" ? 1 / sum.rootMeanSquare() : Math.sqrt(this.#widths[at]!) / sum.mean();
    this.#factors[at] = factor;
    return factor;
  }
}

function parts(
  parameters: ReadonlyMap<string, Tensor<"float32">>,
  threshold: number | undefined,
  factor: number,
): FoldedParts {
  return { parameters, ...(threshold === undefined ? {} : { threshold: threshold * factor }) };
}

/** Sums of row norms. */
class LengthSum {
  batches = 0;
  #rows = 0;
  #norms = 0;
  /** Means over batches, as dictionary_learning's `get_norm_factor` takes them. */
  #squares = 0;

  add({ data, dims }: Tensor<"float32">): void {
    const [rows = 0, d = 0] = dims;
    let all = 0;
    for (let row = 0; row < rows; row++) {
      let squares = 0;
      for (let at = row * d; at < (row + 1) * d; at++) squares += data[at]! ** 2;
      this.#norms += Math.sqrt(squares);
      all += squares;
    }
    this.#rows += rows;
    this.#squares += all / rows;
    this.batches++;
  }

  mean(): number {
    return checked("mean norm", this.#norms / this.#rows);
  }

  rootMeanSquare(): number {
    return checked("root mean square norm", Math.sqrt(this.#squares / this.batches));
  }
}

function checked(what: string, value: number): number {
  if (!(value > 0 && value < Infinity)) throw noSpread(what, value);
  return value;
}

function times({ dims, data }: Tensor<"float32">, factor: number): Tensor<"float32"> {
  const out = new Float32Array(data.length);
  const single = Math.fround(factor);
  for (let i = 0; i < out.length; i++) out[i] = data[i]! * single;
  return tensor("float32", dims, out);
}

/** Names of the statistics in states and among initial weights. */
const whiteningNames = ["mean", "matrix", "inverse"] as const;

class WhiteningNormalization implements ActivationNormalization {
  readonly remaining = "none" as const;
  readonly changesNorms = true;
  readonly observations: number;
  readonly #eps: number;
  readonly #d: number;
  readonly #device: Device;
  readonly #covariance: Covariance;
  #seen = 0;
  #whitening: Whitening | undefined;
  #sums: Session | undefined;
  #session: Session | undefined;

  constructor({ batches, eps }: Rule<"covariance_whitening">, d: number, device: Device) {
    this.observations = batches;
    this.#eps = eps;
    this.#d = d;
    this.#device = device;
    this.#covariance = new Covariance(d);
  }

  async observe({ x }: RawBatch): Promise<void> {
    this.#sums ??= await this.#device.load(covarianceGraph(this.#d), { label: "covariance" });
    this.#covariance.add(x.dims[0]!, await this.#sums.run({ x }, ["sum", "products"]));
    this.#seen++;
  }

  async apply({ x }: RawBatch): Promise<Batch> {
    this.#session ??= await this.#device.load(whiteningGraph(this.#known()), {
      label: "whitening",
    });
    const { z } = await this.#session.run({ x }, ["z"]);
    const white = z as Tensor<"float32">;
    return { rows: x.dims[0]!, x: white, target: white };
  }

  fold({ parameters, threshold }: FoldedParts, { applyBDecToInput }: FoldFacts): FoldedParts {
    return parts(foldWhitening(parameters, this.#known(), applyBDecToInput), threshold, 1);
  }

  state(): Map<string, Tensor> {
    const known = this.#whitening;
    if (known === undefined) return new Map();
    const d = this.#d;
    return new Map(
      whiteningNames.map((name) => [
        `normalization/${name}`,
        tensor("float64", name === "mean" ? [d] : [d, d], known[name]),
      ]),
    );
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    if (!state.has("normalization/mean")) return;
    const d = this.#d;
    const [mean, matrix, inverse] = whiteningNames.map((name) =>
      float64Of(state, `normalization/${name}`, name === "mean" ? [d] : [d, d]).slice(),
    ) as [Float64Array, Float64Array, Float64Array];
    this.#whitening = { mean, matrix, inverse };
    // Its graph holds the matrix as a constant.
    void this.#session?.release();
    this.#session = undefined;
  }

  async release(): Promise<void> {
    await this.#sums?.release();
    await this.#session?.release();
  }

  #known(): Whitening {
    if (this.#whitening) return this.#whitening;
    if (this.#seen < this.observations) throw statisticsMissing(this.#seen, this.observations);
    this.#whitening = this.#covariance.whitening(this.#eps);
    return this.#whitening;
  }
}
