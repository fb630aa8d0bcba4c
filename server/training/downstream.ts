/**
 * What comes after an SAE's place, as a loss of its reconstruction: the rest of a language model. Training knows it
 * through this interface alone; a run that reads sequences brings one with every batch.
 */
import * as v from "valibot";
import type { Batch } from "./activation-normalization.ts";
import { notNegative } from "./options.ts";

/**
 * End-to-end training. Braun et al. 2024, arXiv:2405.12241: kl 1 and downstream 0 is their e2e, with downstream above 0
 * their e2e + downstream. The loss becomes
 *
 *     kl · mean KL(p(x) ‖ p(x̂)) + downstream · mean over later layers l of mean ‖r_l(x̂) − r_l(x)‖² + mse · mean ‖x̂ − x‖² + sparsity
 *
 * where p(x̂) and r_l(x̂) are the model's next-token distribution and its residual before layer l (one past the last: after it)
 * with x̂ in the place of x at the tokens that the SAE is trained on. Means are over these tokens of all sequences.
 */
export const endToEndOption = v.nullable(
  v.strictObject({
    /** Weight of the divergence of the model's predictions, in nats. */
    kl: v.optional(notNegative(), 1),
    /** Weight of the squared errors in the residual stream after the place: the paper's β (L − l layers, their mean). */
    downstream: v.optional(notNegative(), 0),
    /** What is left of the SAE's own squared error. */
    mse: v.optional(notNegative(), 0),
  }),
);

type EndToEnd = NonNullable<v.InferOutput<typeof endToEndOption>>;

/** Weights of the losses that come from behind the SAE. */
export interface DownstreamWeights {
  readonly kl: number;
  readonly downstream: number;
}

/** What the rest of the model says about a reconstruction. */
export interface DownstreamLoss {
  /** Summands of the loss: kl_loss, downstream_loss. */
  readonly parts: Readonly<Record<string, number>>;
  /** Gradient of their sum by the reconstruction. `[rows, d_out]` */
  readonly gradient: Float32Array;
}

/** The rest of a model for the rows of one batch. */
export interface Downstream {
  /** Losses of a reconstruction `[rows, d_out]`, in the units of activations. */
  loss(
    x_hat: Float32Array,
    weights: DownstreamWeights,
    signal?: AbortSignal,
  ): Promise<DownstreamLoss>;
}

/** The same for a reconstruction in the units of the batch; the gradient is by these. */
export async function downstreamLoss(
  { downstream, scale }: Batch,
  x_hat: Float32Array,
  weights: DownstreamWeights,
  signal?: AbortSignal,
): Promise<DownstreamLoss> {
  if (downstream === undefined || scale === undefined)
    throw new Error("bug: end-to-end training on a batch that ends at the SAE");
  const { parts, gradient } = await downstream.loss(times(x_hat, 1 / scale), weights, signal);
  return { parts, gradient: times(gradient, 1 / scale) };
}

/** The same for x̂ = target + `errors` `[rows, d_out]`; undefined where training ends at the SAE. */
export async function lossBehind(
  batch: Batch,
  errors: Float32Array,
  {
    config: { endToEnd },
    signal,
  }: {
    readonly config: { readonly endToEnd: EndToEnd | null };
    readonly signal: AbortSignal | undefined;
  },
): Promise<DownstreamLoss | undefined> {
  if (endToEnd === null) return undefined;
  const x_hat = errors.map((error, at) => error + batch.target.data[at]!);
  return downstreamLoss(batch, x_hat, endToEnd, signal);
}

function times(rows: Float32Array, factor: number): Float32Array {
  return factor === 1 ? rows : rows.map((it) => it * factor);
}
