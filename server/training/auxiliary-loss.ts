/**
 * The auxiliary loss of TopK-like SAEs: dead latents reconstruct what the living ones leave over, so that they come back.
 * Gao et al. 2024, arXiv:2406.04093, appendix A.2, in the forms of SAELens and dictionary_learning.
 */
import * as v from "valibot";
import { gradients } from "../graph/gradients.ts";
import { Graph, type Value } from "../graph/graph.ts";
import {
  abs,
  add,
  gemm,
  greaterOrEqual,
  matmul,
  mul,
  neg,
  reduceMax,
  reduceMean,
  reduceSum,
  relu,
  stopGradient,
  topk,
  where,
} from "../graph/ops/index.ts";
import type { Device, Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { flag, notNegative, oneOf, size } from "./options.ts";
import type { Parameters } from "./parameters.ts";

/** Options; null for no auxiliary loss. */
export const auxOption = v.nullable(
  v.strictObject({
    /** SAELens `aux_loss_coefficient`; dictionary_learning `auxk_alpha`. */
    coefficient: v.optional(notNegative(), 1),
    /** Dead latents that a row uses; null is d_in / 2. dictionary_learning `top_k_aux`. */
    k: v.optional(v.nullable(size()), null),
    /** Pre-activations as they are (SAELens) or after ReLU (dictionary_learning). */
    acts: v.optional(oneOf("preActs", "relu"), "preActs"),
    /** With fewer dead latents than k, the loss is multiplied by their share of k (SAELens). */
    scaleByDead: v.optional(flag(), true),
    /** Divided by the variance of what is left over (dictionary_learning). */
    perVariance: v.optional(flag(), false),
    /** Each level of a Matryoshka SAE has a loss of its own, with the dead latents and the error of that level. SAELens `use_matryoshka_aux_loss`. */
    perLevel: v.optional(flag(), false),
  }),
);

/** Options of an auxiliary loss. */
export type AuxOptions = NonNullable<v.InferOutput<typeof auxOption>>;

/** What one auxiliary loss is computed from. */
export interface AuxInput {
  readonly rows: number;
  /** The encoder's input less b_dec, `[rows, d_in]`. */
  readonly x: Float32Array;
  /** x̂ − target of the living latents, `[rows, d_out]`: less of it is what the dead ones are to reconstruct. */
  readonly errors: Float32Array;
  /** The dead latents. */
  readonly latents: readonly number[];
  readonly norms: Float32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What it came to; gradients were added to W_enc's, b_enc's and W_dec's. */
export interface AuxResult {
  /** With coefficient and scale. */
  readonly loss: number;
  /** Mean squared error of the dead latents' reconstruction, before anything is multiplied. */
  readonly squaredError: number;
}

/** The session of an auxiliary loss. */
export class AuxiliaryLoss {
  readonly #options: AuxOptions;
  readonly #parameters: Parameters;
  readonly #session: Session;
  readonly #k: number;

  private constructor(
    session: Session,
    options: AuxOptions,
    { parameters, d_in }: { parameters: Parameters; d_in: number },
  ) {
    this.#session = session;
    this.#options = options;
    this.#parameters = parameters;
    this.#k = options.k ?? Math.floor(d_in / 2);
  }

  /** Loads the graph; `signed`: AbsTopK, which ranks by size. */
  static async open(
    options: AuxOptions,
    kind: { signed: boolean; rescaled: boolean },
    parts: { parameters: Parameters; device: Device; d_in: number },
  ): Promise<AuxiliaryLoss> {
    const { parameters, device, d_in } = parts;
    const d_out = parameters.get("W_dec").dims[1]!;
    const graph = auxGraph({ d_in, d_out, ...kind, acts: options.acts });
    const session = await device.load(graph, { label: graph.name });
    return new AuxiliaryLoss(session, options, { parameters, d_in });
  }

  /** Loss and gradients. */
  async add(input: AuxInput): Promise<AuxResult> {
    const { rows, latents, norms, signal } = input;
    const { coefficient, scaleByDead, perVariance } = this.#options;
    const scale = scaleByDead ? Math.min(latents.length / this.#k, 1) : 1;
    const variance = perVariance ? varianceOf(input.errors, rows) : 1;
    // dictionary_learning turns 0/0 into 0.
    const factor = variance > 0 ? (coefficient * scale) / variance : 0;
    const feeds: Record<string, Tensor> = {
      x: matrix(input.x, rows),
      errors: matrix(input.errors, rows),
      W_enc: this.#rowsOf(this.#parameters.has("W_enc") ? "W_enc" : "W_dec", latents),
      b_enc: this.#rowsOf("b_enc", latents),
      W_dec: this.#rowsOf("W_dec", latents),
      k: tensor("int64", [1], BigInt64Array.of(BigInt(Math.min(this.#k, latents.length)))),
      factor: tensor("float32", [], Float32Array.of(factor)),
    };
    if (norms)
      feeds["norms"] = tensor(
        "float32",
        [latents.length],
        Float32Array.from(latents, (latent) => norms[latent]!),
      );
    const out = await this.#session.run(
      feeds,
      ["squaredError", "grad W_enc", "grad b_enc", "grad W_dec"],
      signal,
    );
    this.#addRows(this.#parameters.has("W_enc") ? "W_enc" : "W_dec", latents, out["grad W_enc"]!);
    this.#addRows("b_enc", latents, out["grad b_enc"]!);
    this.#addRows("W_dec", latents, out["grad W_dec"]!);
    const squaredError = Number(out["squaredError"]!.data[0]);
    return { loss: squaredError * factor, squaredError };
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  #rowsOf(name: string, latents: readonly number[]): Tensor<"float32"> {
    const { dims, value } = this.#parameters.get(name);
    const width = dims[1] ?? 1;
    const out = new Float32Array(latents.length * width);
    latents.forEach((latent, at) =>
      out.set(value.subarray(latent * width, (latent + 1) * width), at * width),
    );
    return tensor("float32", [latents.length, ...dims.slice(1)], out);
  }

  #addRows(name: string, latents: readonly number[], { data }: Tensor): void {
    const { dims, grad } = this.#parameters.get(name);
    const width = dims[1] ?? 1;
    const from = data as Float32Array;
    latents.forEach((latent, at) => {
      for (let i = 0; i < width; i++) grad[latent * width + i]! += from[at * width + i]!;
    });
  }
}

interface AuxShape {
  readonly d_in: number;
  readonly d_out: number;
  readonly signed: boolean;
  readonly rescaled: boolean;
  readonly acts: AuxOptions["acts"];
}

/** factor · mean ‖z·W_dec + errors‖² with z the k largest activations of the dead latents, and its gradients. */
function auxGraph({ d_in, d_out, signed, rescaled, acts }: AuxShape): Graph {
  const graph = new Graph("auxiliary loss");
  const x = graph.input("x", "float32", ["batch", d_in]);
  const errors = graph.input("errors", "float32", ["batch", d_out]);
  const W_enc = graph.input("W_enc", "float32", ["dead", d_in]);
  const b_enc = graph.input("b_enc", "float32", ["dead"]);
  const W_dec = graph.input("W_dec", "float32", ["dead", d_out]);
  const k = graph.input("k", "int64", [1]);
  const factor = graph.input("factor", "float32", []);
  const preActs = gemm(x, W_enc, b_enc, { transB: true });
  const active = acts === "relu" ? relu(preActs) : preActs;
  // Norms decide which are largest; in what is decoded they cancel out.
  const scores = rescaled ? mul(active, graph.input("norms", "float32", ["dead"])) : active;
  const z = largestOnly(active, stopGradient(signed ? abs(scores) : scores), k);
  const error = add(matmul(z, W_dec), errors);
  const squaredError = reduceMean(reduceSum(mul(error, error), [1]), [0]);
  graph.output("squaredError", squaredError);
  const wrt = { W_enc, b_enc, W_dec };
  const found = gradients(mul(squaredError, factor), Object.values(wrt));
  Object.keys(wrt).forEach((name, at) => graph.output(`grad ${name}`, found[at]!));
  return graph;
}

/** Keeps what has one of the k largest scores of its row, else 0. */
function largestOnly(acts: Value, scores: Value, k: Value): Value {
  const least = neg(reduceMax(neg(topk(scores, k).values), [1], true));
  return where(greaterOrEqual(scores, least), acts, 0);
}

function matrix(data: Float32Array, rows: number): Tensor<"float32"> {
  return tensor("float32", [rows, data.length / rows], data);
}

/** Mean over rows of ‖r − mean r‖². */
function varianceOf(rows: Float32Array, n: number): number {
  const d = rows.length / n;
  const mean = new Float64Array(d);
  let squares = 0;
  for (let i = 0; i < rows.length; i++) {
    mean[i % d]! += rows[i]! / n;
    squares += rows[i]! ** 2;
  }
  return squares / n - mean.reduce((sum, it) => sum + it ** 2, 0);
}
