/** The graph of one block under construction: its inputs, its checked weights, and the pieces that families share. */
import type { Dim, Value } from "../graph/graph.ts";
import { Graph } from "../graph/graph.ts";
import {
  add,
  cast,
  div,
  exp,
  gelu,
  gemm,
  layerNorm,
  mul,
  neg,
  relu,
  rmsNorm,
  silu,
} from "../graph/ops/index.ts";
import { unreachable } from "../base/errors.ts";
import { type StoredTensor, type Tensor, tensor } from "../tensor/tensor.ts";
import type { ActivationName, LmConfig } from "./config.ts";
import type { BlockHookKind } from "./hook-points.ts";
import type { Precision } from "./precision.ts";

/** What a block graph returns: resid_post, the new rows of the KV cache, and its other hook points. */
export type BlockValues = { readonly resid_post: Value; readonly k: Value; readonly v: Value } & {
  readonly [kind in Exclude<BlockHookKind, "resid_pre" | "resid_post">]?: Value;
};

/** How a linear layer stores its matrix: Hugging Face's Linear `[out, in]`, or GPT-2's Conv1D `[in, out]`. */
export type MatrixLayout = "out-in" | "in-out";

/** A linear layer by name and widths. */
export interface LinearFacts {
  /** Name without `.weight` and `.bias`. */
  readonly name: string;
  readonly d_in: number;
  readonly d_out: number;
  readonly bias: boolean;
  readonly layout?: MatrixLayout;
}

/** A normalisation by name; `bias`: LayerNorm, else RMSNorm. */
export interface NormFacts {
  readonly name: string;
  readonly kind: "layer" | "rms";
  /** Gemma stores weight − 1. */
  readonly plusOne?: boolean;
}

/** Where the elements of a weight come from; checks that it has these dimensions. */
export type WeightSource = (name: string, dims: readonly number[]) => Tensor | StoredTensor;

/** Builds one graph of a language model from weights by name. */
export class BlockBuilder {
  readonly graph: Graph;
  readonly config: LmConfig;
  readonly #source: WeightSource;
  readonly #precision: Precision;
  readonly #names: string[] = [];

  constructor(
    name: string,
    config: LmConfig,
    source: WeightSource,
    precision: Precision = "float32",
  ) {
    this.graph = new Graph(name);
    this.config = config;
    this.#source = source;
    this.#precision = precision;
  }

  /** Names of the weights used so far. */
  get weightNames(): readonly string[] {
    return this.#names;
  }

  /** An input in the numbers that the graph computes in. */
  input(name: string, dims: readonly Dim[]): Value {
    return this.graph.input(name, this.#precision, dims);
  }

  /** Declares an output. */
  output(name: string, value: Value, precision: Precision): void {
    this.graph.output(name, cast(value, precision));
  }

  /** A weight, checked for its shape, in the numbers that the graph computes in. */
  weight(name: string, dims: readonly number[]): Value {
    this.#names.push(name);
    return cast(this.graph.weight(name, this.#source(name, dims)), this.#precision);
  }

  /** x · W + b. `[tokens, d_in] -> [tokens, d_out]` */
  linear(x: Value, { name, d_in, d_out, bias, layout = "out-in" }: LinearFacts): Value {
    const transB = layout === "out-in";
    const W = this.weight(`${name}.weight`, transB ? [d_out, d_in] : [d_in, d_out]);
    const b = bias ? this.weight(`${name}.bias`, [d_out]) : undefined;
    return gemm(x, W, b, { transB });
  }

  /** Normalises over the last axis, with weight (and bias). */
  norm(x: Value, facts: NormFacts): Value {
    const { normEps } = this.config;
    const scale = this.normScale(x, facts);
    if (facts.kind === "rms") return rmsNorm(x, scale, normEps);
    return layerNorm(x, scale, this.weight(`${facts.name}.bias`, [widthOf(x)]), normEps);
  }

  /**
   * The norm before an MLP with both of its readings: `normalized` as TransformerLens hooks it (an RMSNorm before its
   * weight, a LayerNorm after it) and `out`, what the MLP reads.
   */
  hookedNorm(x: Value, facts: NormFacts): { normalized: Value; out: Value } {
    if (facts.kind === "layer") {
      const out = this.norm(x, facts);
      return { normalized: out, out };
    }
    const width = widthOf(x);
    const one = this.graph.constant(tensor("float32", [width], new Float32Array(width).fill(1)));
    const ones = cast(one, this.#precision);
    const normalized = rmsNorm(x, ones, this.config.normEps);
    return { normalized, out: mul(normalized, this.normScale(x, facts)) };
  }

  /** The weight of a norm, as a factor. */
  normScale(x: Value, { name, plusOne = false }: NormFacts): Value {
    const scale = this.weight(`${name}.weight`, [widthOf(x)]);
    return plusOne ? add(scale, 1) : scale;
  }

  /** The model's activation function. */
  activation(x: Value): Value {
    return applyActivation(this.config.activation, x);
  }
}

/** ONNX Runtime's CPU provider has no Gelu for doubles; one rounding to f32 per hidden activation is what it costs. */
function applyActivation(name: ActivationName, x: Value): Value {
  switch (name) {
    case "silu":
      // ONNX Runtime fuses x · sigmoid(x) into an op that it has for f32 only.
      return x.dtype === "float32" ? silu(x) : div(x, add(exp(neg(x)), 1));
    case "gelu":
      return cast(gelu(cast(x, "float32"), "none"), x.dtype);
    case "gelu-tanh":
      return cast(gelu(cast(x, "float32"), "tanh"), x.dtype);
    case "relu":
      return relu(x);
    default:
      return unreachable(name);
  }
}

function widthOf(x: Value): number {
  return x.dims.at(-1) as number;
}
