/** What a language model loses when activations at a hook point are replaced by reconstructions. */
import { Trace } from "../../lm/gradient-trace.ts";
import type { HookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** One sequence from its position 0 on. */
export interface SampleWindow {
  readonly ids: Int32Array;
  /** Activations at the hook point. `[tokens, d_in]` */
  readonly x: Tensor<"float32">;
  /** The residual that the rest of the model goes on from (`entryOf`); x itself at a residual hook point. `[tokens, d_model]` */
  readonly resid?: Tensor<"float32">;
}

/** Where the rest of the model starts, and which residual enters there. */
export interface Entry {
  readonly layer: number;
  readonly resid: HookPoint;
}

/**
 * The entry behind a hook point whose contribution to the residual is the activation itself; undefined where replacing it
 * would also change something within the block (attention's output feeds the MLP of most models).
 */
export function entryOf(hook: HookPoint): Entry | undefined {
  if (hook.kind === "resid_pre") return { layer: hook.layer, resid: hook };
  if (hook.kind === "resid_post") return { layer: hook.layer + 1, resid: hook };
  if (hook.kind !== "mlp_out") return undefined;
  return { layer: hook.layer + 1, resid: { kind: "resid_post", layer: hook.layer } };
}

/**
 * −ln p(next token), the mean over positions 1 … n − 2 of the sequence, with x replaced by `x_hat [tokens, d_in]` at all
 * positions but the first, which no SAE is trained on; without x_hat that of the untouched model.
 */
export async function splicedLoss(
  lm: LanguageModel,
  { ids, x, resid }: SampleWindow,
  { entry, x_hat }: { readonly entry: Entry; readonly x_hat: Float32Array | undefined },
  signal?: AbortSignal,
): Promise<number> {
  if (!resid || ids.length < 3) return Number.NaN;
  const width = x.dims[1]!;
  const entering = Float32Array.from(resid.data);
  if (x_hat)
    for (let at = width; at < entering.length; at++) entering[at]! += x_hat[at]! - x.data[at]!;
  const trace = await Trace.run(lm, { layer: entry.layer, resid: entering }, signal);
  const last = await lm.unembedding.normalize(trace.resid(lm.config.n_layers), signal);
  const targets = new Int32Array(ids.length).fill(-1);
  targets.set(ids.subarray(1));
  const { logSumExp, targetLogit } = await lm.unembedding.summarize(
    last,
    { k: 1, targets },
    signal,
  );
  let sum = 0;
  for (let at = 1; at < ids.length - 1; at++) sum += logSumExp[at]! - targetLogit[at]!;
  return sum / (ids.length - 2);
}
