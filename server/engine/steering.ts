/** The reader's `steer`: interventions in the words of the protocol to a splice, and both runs back as plain data. */
import { effectsOf, type Side } from "../analysis/intervention/effects.ts";
import { type Intervention, interventionSplice } from "../analysis/intervention/intervention.ts";
import { meanDifference } from "../analysis/intervention/mean-difference.ts";
import { residualLayer, saeSite } from "../analysis/sae-site.ts";
import type { LanguageModel } from "../lm/language-model.ts";
import type {
  SteeredSide,
  SteeringReading,
  SteerParams,
  SteerStep,
} from "../protocol/interventions.ts";
import { type CausalState, checkMeta } from "./attribution.ts";
import { needsHook, needsMetaSae, needsSae, nothingToSteer } from "./cause-errors.ts";
import { metaReadsNoText } from "./errors.ts";
import { positionTest, sequenceOf } from "./sequences.ts";

/** Most likely next tokens that are told. */
const nextTokens = 5;

/** Answers `steer`. */
export async function readSteering(
  state: CausalState,
  params: SteerParams,
): Promise<SteeringReading> {
  const { lm, sae, meta, signal, onStep } = state;
  if (params.steps.length === 0) throw nothingToSteer();
  if (sae?.info.metaOf) throw metaReadsNoText(sae.id, sae.info.metaOf);
  if (sae) checkMeta(sae, meta);
  const prependBos = sae?.info.prependBos ?? lm.tokenizer.addsBos;
  const { context } = params;
  const sequence = sequenceOf(lm, { context, prependBos, last: params.position ?? -1 });
  const { ids, nBos } = sequence;
  const site = sae && saeSite(sae.sae, sae.hook, sae.hookOut);
  const hook = params.hook ?? sae?.info.hookOut ?? sae?.info.hook;
  if (hook === undefined) throw needsHook();
  const layer = site?.layer ?? residualLayer(lm.hook(hook));
  if (!site && !params.keepError) throw needsSae("steering without the SAE's error");
  const interventions: Intervention[] = [];
  for (const { target, mode, amount } of params.steps) {
    if (target.kind === "contrast") {
      await onStep("reading the texts of the direction", 0);
      const vector = await contrast(lm, layer, target, { prependBos, signal });
      interventions.push({ target: { kind: "direction", vector }, mode, amount });
      continue;
    }
    if (target.kind !== "direction" && !site) throw needsSae(`steering a ${target.kind}`);
    if (target.kind === "meta-latent" && !meta) throw needsMetaSae();
    interventions.push({ target, mode, amount });
  }
  const splice = await interventionSplice({
    interventions,
    at: positionTest(params.positions, ids.length),
    layer,
    d_model: lm.config.d_model,
    ...(site ? { site } : {}),
    ...(meta ? { meta: meta.sae } : {}),
    keepError: params.keepError,
  });
  const { maxNewTokens, temperature, seed } = params;
  const found = await effectsOf(lm, {
    ids,
    splice,
    maxNewTokens,
    temperature,
    seed,
    k: nextTokens,
    onStep,
    ...(signal ? { signal } : {}),
  });
  const room = lm.config.n_ctx - ids.length;
  return {
    hook,
    prompt: lm.tokenizer.decode(ids.subarray(nBos)),
    tokens: sequence.tokens,
    steps: params.steps.map(stepText),
    original: side(lm, found.original, ids.length),
    steered: side(lm, found.changed, ids.length),
    divergence: found.divergence,
    originalLoss: found.original.predictions.nextTokenLoss,
    steeredLoss: found.changed.predictions.nextTokenLoss,
    problems: [
      ...sequence.problems,
      ...(room < maxNewTokens
        ? [`the model has room for ${room} more tokens, not for ${maxNewTokens}`]
        : []),
    ],
  };
}

async function contrast(
  lm: LanguageModel,
  layer: number,
  { towards, away }: Extract<SteerStep["target"], { kind: "contrast" }>,
  { prependBos, signal }: { prependBos: boolean; signal: AbortSignal | undefined },
): Promise<Float32Array> {
  const read = (texts: readonly string[]) =>
    texts.map((text) => {
      const context = { kind: "plain", parts: [{ text, fileStart: 0 }] } as const;
      const { ids, nBos } = sequenceOf(lm, { context, prependBos });
      return { ids, skip: nBos };
    });
  return meanDifference(lm, layer, { towards: read(towards), away: read(away) }, signal);
}

function side(lm: LanguageModel, { predictions, continuation }: Side, tokens: number): SteeredSide {
  const { k, topIds, topProbabilities } = predictions;
  const losses = predictions.nextTokenLoss.subarray(0, tokens - 1);
  const at = (tokens - 1) * k;
  return {
    text: lm.tokenizer.decode(continuation),
    ids: continuation,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    next: Array.from({ length: k }, (_, rank) => ({
      text: lm.tokenizer.tokenText(topIds[at + rank]!),
      probability: topProbabilities[at + rank]!,
    })),
  };
}

/** An intervention in words: `latent 123 + 8`. */
function stepText({ target, mode, amount }: SteerStep): string {
  const what =
    target.kind === "direction"
      ? "direction"
      : target.kind === "contrast"
        ? "difference of means"
        : `${target.kind} ${target.latent}`;
  if (mode === "ablate") return `${what} ablated`;
  if (mode === "clamp") return `${what} = ${amount}`;
  if (mode === "scale") return `${what} × ${amount}`;
  return `${what} ${amount < 0 ? "−" : "+"} ${Math.abs(amount)}`;
}
