/** The reader's `attribute`: a context and a wish in the words of the protocol to a metric, and back to plain data. */
import { ablationEffects, correlation } from "../analysis/attribution/ablation.ts";
import { attribute, type Attribution, spliceText } from "../analysis/attribution/attribute.ts";
import type { Metric } from "../analysis/attribution/metric.ts";
import { byStrength, toMetaLatents } from "../analysis/attribution/to-meta-latents.ts";
import { residualLayer, saeSite } from "../analysis/sae-site.ts";
import type { LmGradients } from "../lm/gradients.ts";
import type { LanguageModel } from "../lm/language-model.ts";
import { Stream } from "../lm/stream.ts";
import type {
  AttributedLatent,
  AttributeParams,
  AttributionReading,
  AttributionTarget,
  LikelyToken,
  TokenName,
} from "../protocol/interventions.ts";
import { tokenizeContext } from "../text/context-tokens.ts";
import {
  metaOfAnother,
  noMetaSae,
  noNextToken,
  noPositions,
  notOneToken,
  unknownToken,
} from "./cause-errors.ts";
import { metaReadsNoText } from "./errors.ts";
import type { LoadedSae } from "./loaded.ts";
import { positionTest, type Sequence, sequenceOf } from "./sequences.ts";

/** What questions about causes are put to, and how they give way to hovers. */
export interface CausalState {
  readonly lm: LanguageModel;
  readonly sae: LoadedSae | undefined;
  readonly meta: LoadedSae | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called between pieces of work, which wait for it. */
  readonly onStep: (text: string, fraction: number) => Promise<void>;
}

/** Answers `attribute`. */
export async function readAttribution(
  state: CausalState & { readonly gradients: LmGradients; readonly sae: LoadedSae },
  params: AttributeParams,
): Promise<AttributionReading> {
  const { lm, sae, meta, gradients, signal, onStep } = state;
  if (sae.info.metaOf) throw metaReadsNoText(sae.id, sae.info.metaOf);
  checkMeta(sae, meta);
  const { prependBos } = sae.info;
  const { context, target, method, steps } = params;
  const sequence = sequenceOf(lm, { context, prependBos, last: params.position });
  await onStep("reading the text", 0);
  const { ids } = sequence;
  const next = await likelyTokens(lm, ids, 5, signal);
  const { metric, text: name } = metricOf(lm, params, sequence, next);
  const within = positionTest(params.positions, ids.length);
  // At the first token there is nothing else to ask about.
  const positions = ids.length === 1 ? [0] : Array.from(ids.keys()).filter(within);
  if (positions.length === 0) throw noPositions();
  const site = saeSite(sae.sae, sae.hook, sae.hookOut);
  const share = params.ablations > 0 ? 0.6 : 0.9;
  const found = await attribute(gradients, site, {
    ids,
    metric,
    positions,
    method,
    steps,
    ...(signal ? { signal } : {}),
    onStep: (done, total) =>
      onStep(`gradient ${done + 1} of ${total}`, 0.1 + (share * done) / total),
  });
  const strongest = byStrength(found.latents);
  const shown: AttributedLatent[] = strongest.slice(0, params.top);
  const text = await spliceText(gradients, site, ids, signal);
  let agreement: number | undefined;
  if (params.ablations > 0) {
    const checked = strongest.slice(0, params.ablations);
    const effects = await ablationEffects(gradients, text, checked, {
      metric,
      signal,
      onStep: (done, total) =>
        onStep(`ablation ${done + 1} of ${total}`, 0.7 + (0.3 * done) / total),
    });
    agreement = correlation(
      checked.map((it) => it.attribution),
      effects,
    );
    for (const [rank, effect] of effects.entries())
      if (rank < shown.length) shown[rank] = { ...shown[rank]!, effect };
  }
  const handedOn = meta && (await toMetaLatents(found, text, meta.sae, signal));
  return {
    sae: sae.id,
    hook: sae.info.hook,
    tokens: sequence.tokens,
    left: sequence.left,
    position: sequence.last,
    next,
    metric: name,
    method,
    steps: method === "integrated" ? steps : 1,
    value: found.value,
    baseline: found.baseline,
    sum: found.sum,
    latents: shown,
    activeLatents: found.latents.length,
    others: total(strongest.slice(params.top)),
    error: errorsOf(found),
    ...(meta && handedOn
      ? { meta: { id: meta.id, latents: handedOn.metaLatents, rest: handedOn.rest } }
      : {}),
    ...(agreement === undefined ? {} : { correlation: agreement }),
    problems: [...sequence.problems, ...gapOf(found, target)],
  };
}

/** Throws where a meta-SAE does not read the rows of an SAE's decoder. */
export function checkMeta(sae: LoadedSae, meta: LoadedSae | undefined): void {
  if (meta && !meta.info.metaOf) throw noMetaSae(meta.id);
  if (meta && meta.info.d_in !== sae.info.d_out)
    throw metaOfAnother(meta.id, meta.info.d_in, sae.id, sae.info.d_out);
}

function errorsOf({ positions, error }: Attribution): AttributionReading["error"] {
  return positions.map((position, row) => ({ position, attribution: error[row]! }));
}

function total(list: readonly { readonly attribution: number }[]): number {
  return list.reduce((sum, it) => sum + it.attribution, 0);
}

/** A sentence where the shares are far from the difference that they should add up to. */
function gapOf({ value, baseline, sum }: Attribution, { kind }: AttributionTarget): string[] {
  const whole = value - baseline;
  const gap = Math.abs(sum - whole);
  if (gap <= 0.1 * Math.max(Math.abs(whole), 1e-6)) return [];
  const number = kind === "direction" ? "projection" : "logit";
  return [
    `attributions add up to ${sum.toPrecision(3)} where the ${number} changes by ${whole.toPrecision(3)}: take them as a rough order, or use integrated gradients with more steps`,
  ];
}

function metricOf(
  lm: LanguageModel,
  { target, context, position: asked }: AttributeParams,
  { last, nBos }: Sequence & { last: number },
  likely: readonly LikelyToken[],
): { metric: Metric; text: string } {
  if (target.kind === "direction") {
    const hook = lm.hook(target.hook);
    const layer = residualLayer(hook);
    const metric = { kind: "direction", layer, position: last, direction: target.vector } as const;
    return { metric, text: `projection at ${target.hook}` };
  }
  const id =
    target.kind === "token"
      ? idOf(lm, target.token)
      : target.kind === "next"
        ? nextId(lm, { context, position: asked, prependBos: nBos > 0 })
        : likely[0]!.id;
  const named = (it: number): string => `logit of ${JSON.stringify(lm.tokenizer.tokenText(it))}`;
  const terms = [{ position: last, id, weight: 1 }];
  if (target.minus === undefined) return { metric: { kind: "logits", terms }, text: named(id) };
  const other = idOf(lm, target.minus);
  return {
    metric: { kind: "logits", terms: [...terms, { position: last, id: other, weight: -1 }] },
    text: `${named(id)} less ${named(other)}`,
  };
}

function idOf(lm: LanguageModel, name: TokenName): number {
  if ("id" in name) {
    const { d_vocab } = lm.config;
    if (!(Number.isInteger(name.id) && name.id >= 0 && name.id < d_vocab))
      throw unknownToken(name.id, d_vocab);
    return name.id;
  }
  const { ids } = lm.tokenizer.encode(name.text);
  const [id] = ids;
  if (id === undefined || ids.length !== 1)
    throw notOneToken(
      name.text,
      Array.from(ids, (it) => lm.tokenizer.tokenText(it)),
    );
  return id;
}

function nextId(
  lm: LanguageModel,
  {
    context,
    position,
    prependBos,
  }: Pick<AttributeParams, "context" | "position"> & {
    prependBos: boolean;
  },
): number {
  const { ids } = tokenizeContext(lm.tokenizer, context, { prependBos }).tokens;
  const next = ids[(position < 0 ? ids.length + position : position) + 1];
  if (next === undefined) throw noNextToken();
  return next;
}

/** The k likeliest tokens after the last of a sequence. */
async function likelyTokens(
  lm: LanguageModel,
  ids: Int32Array,
  k: number,
  signal: AbortSignal | undefined,
): Promise<LikelyToken[]> {
  const stream = new Stream(lm);
  try {
    stream.setIds(ids);
    const { data } = await stream.logits([ids.length - 1], signal);
    const best = Array.from(data.keys())
      .sort((a, b) => data[b]! - data[a]!)
      .slice(0, k);
    const top = data[best[0]!]!;
    const whole = data.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return best.map((id) => ({
      id,
      text: lm.tokenizer.tokenText(id),
      probability: Math.exp(data[id]! - top) / whole,
    }));
  } finally {
    stream.dispose();
  }
}
