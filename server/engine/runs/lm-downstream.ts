/** The rest of a language model behind an SAE's place, as a loss of what the SAE puts there. */
import type { HookPoint } from "../../lm/hook-points.ts";
import { printHookPoint } from "../../lm/hook-points.ts";
import { Trace } from "../../lm/gradient-trace.ts";
import type { LmGradients } from "../../lm/gradients.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Downstream, DownstreamLoss, DownstreamWeights } from "../../training/downstream.ts";
import { cannotSplice } from "./errors.ts";

/** One sequence of a batch: its plain forward pass, and which of its tokens are rows. */
export interface TracedWindow {
  readonly trace: Trace;
  readonly kept: readonly number[];
}

/** Where a reconstruction enters the residual stream. */
export interface SplicePlace {
  /** The layer whose resid_pre it changes; one past the last for the end. */
  readonly layer: number;
  /** It is the whole residual, or one of its summands. */
  readonly replaces: "residual" | "summand";
}

/** Where an SAE at a hook point writes to; a place from which blocks would have to be taken apart is a user error. */
export function splicePlace(hook: HookPoint): SplicePlace {
  if (hook.kind === "resid_pre") return { layer: hook.layer, replaces: "residual" };
  if (hook.kind === "resid_post") return { layer: hook.layer + 1, replaces: "residual" };
  if (hook.kind === "mlp_out") return { layer: hook.layer + 1, replaces: "summand" };
  throw cannotSplice(printHookPoint(hook));
}

/** The rest of a model for one batch of sequences. */
export class LmDownstream implements Downstream {
  readonly #lm: LanguageModel;
  readonly #gradients: LmGradients;
  readonly #place: SplicePlace;
  readonly #windows: readonly TracedWindow[];
  /** What x̂ stands for, `[rows, d_model]`: needed where it is a summand. */
  readonly #original: Float32Array;

  constructor(
    gradients: LmGradients,
    place: SplicePlace,
    batch: { readonly windows: readonly TracedWindow[]; readonly original: Float32Array },
  ) {
    this.#lm = gradients.lm;
    this.#gradients = gradients;
    this.#place = place;
    this.#windows = batch.windows;
    this.#original = batch.original;
  }

  /** See `endToEndOption` for the formula. */
  async loss(
    x_hat: Float32Array,
    weights: DownstreamWeights,
    signal?: AbortSignal,
  ): Promise<DownstreamLoss> {
    const { d_model } = this.#lm.config;
    const rows = x_hat.length / d_model;
    const gradient = new Float32Array(x_hat.length);
    let [kl, downstream, first] = [0, 0, 0];
    for (const window of this.#windows) {
      const part = { from: first, to: first + window.kept.length };
      const found = await this.#ofWindow(window, x_hat, { part, rows, weights, signal });
      kl += found.kl;
      downstream += found.downstream;
      window.kept.forEach((position, i) => {
        const at = position * d_model;
        gradient.set(found.dResid.subarray(at, at + d_model), (first + i) * d_model);
      });
      first = part.to;
    }
    return {
      parts: {
        ...(weights.kl > 0 ? { kl_loss: kl } : {}),
        ...(weights.downstream > 0 ? { downstream_loss: downstream } : {}),
      },
      gradient,
    };
  }

  async #ofWindow(
    { trace: plain, kept }: TracedWindow,
    x_hat: Float32Array,
    { part, rows, weights, signal }: WindowTask,
  ): Promise<{ kl: number; downstream: number; dResid: Float32Array }> {
    const { n_layers, d_model } = this.#lm.config;
    const { layer } = this.#place;
    const resid = this.#spliced(plain.resid(layer), kept, {
      x_hat: x_hat.subarray(part.from * d_model, part.to * d_model),
      x: this.#original.subarray(part.from * d_model, part.to * d_model),
    });
    const changed = await Trace.run(this.#lm, { layer, resid }, signal);
    const entering = new Map<number, Float32Array>();
    let [kl, downstream] = [0, 0];
    if (weights.kl > 0) {
      const share = new Float32Array(plain.tokens);
      for (const position of kept) share[position] = weights.kl / rows;
      const { unembedding } = this.#gradients;
      const [own, other] = [changed.resid(n_layers), plain.resid(n_layers)];
      const found = await unembedding.divergence(own, other, share, signal);
      kl = found.value;
      entering.set(n_layers, found.dResid);
    }
    if (weights.downstream > 0 && layer < n_layers) {
      const factor = weights.downstream / (rows * (n_layers - layer));
      for (let at = layer + 1; at <= n_layers; at++) {
        const room = entering.get(at) ?? new Float32Array(resid.length);
        const add = { kept, factor, room, width: d_model };
        downstream += addSquaredErrors(changed.resid(at), plain.resid(at), add);
        entering.set(at, room);
      }
    }
    if (layer === n_layers)
      return { kl, downstream, dResid: entering.get(layer) ?? new Float32Array(resid.length) };
    const hook = { kind: "resid_pre", layer } as const;
    const found = await this.#gradients.backward(changed, entering, [hook], signal);
    return { kl, downstream, dResid: found.get(printHookPoint(hook))!.data };
  }

  /** The residual with what the SAE puts there, at the tokens that are rows. */
  #spliced(
    plain: Float32Array,
    kept: readonly number[],
    { x_hat, x }: { x_hat: Float32Array; x: Float32Array },
  ): Float32Array {
    const { d_model } = this.#lm.config;
    const resid = plain.slice();
    const isWhole = this.#place.replaces === "residual";
    kept.forEach((position, row) => {
      for (let i = 0; i < d_model; i++) {
        const to = position * d_model + i;
        const from = row * d_model + i;
        resid[to] = isWhole ? x_hat[from]! : resid[to]! + (x_hat[from]! - x[from]!);
      }
    });
    return resid;
  }
}

interface WindowTask {
  /** The window's rows among those of the batch. */
  readonly part: { readonly from: number; readonly to: number };
  /** Rows of the batch. */
  readonly rows: number;
  readonly weights: DownstreamWeights;
  readonly signal: AbortSignal | undefined;
}

/** factor · Σ of squared differences at the kept tokens; adds the gradient by the first to `room`. `[tokens, d_model]` */
function addSquaredErrors(
  found: Float32Array,
  wanted: Float32Array,
  add: { kept: readonly number[]; factor: number; room: Float32Array; width: number },
): number {
  const { kept, factor, room, width } = add;
  let sum = 0;
  for (const position of kept)
    for (let at = position * width; at < (position + 1) * width; at++) {
      const difference = found[at]! - wanted[at]!;
      sum += difference * difference;
      room[at]! += 2 * factor * difference;
    }
  return factor * sum;
}
