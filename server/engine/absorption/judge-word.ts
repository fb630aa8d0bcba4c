/** One word in its prompt under the causal rule: scores of its active latents, and what removals really do. */
import {
  causalRule,
  causalVerdict,
  type ScoredLatent,
} from "../../analysis/absorption/causal-rule.ts";
import {
  type LatentProjection,
  projectionReading,
  type ProjectionReading,
} from "../../analysis/absorption/projection-rule.ts";
import { fallWithout, type TakenRow } from "../../analysis/attribution/ablation.ts";
import {
  type Attribution,
  attributeText,
  metricAt,
  spliceText,
  type SplicedText,
} from "../../analysis/attribution/attribute.ts";
import type { Metric } from "../../analysis/attribution/metric.ts";
import { dot } from "../../analysis/probes/linear-probe.ts";
import type { SaeSite } from "../../analysis/sae-site.ts";
import type { WordPrompt } from "../../analysis/tasks/word-prompts.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { LmGradients } from "../../lm/gradients.ts";
import type { CausalWord, RemovedKind } from "../../protocol/causal-absorption.ts";

/** What words of a label are judged with. */
export interface WordJudge {
  readonly gradients: LmGradients;
  readonly site: SaeSite;
  readonly main: readonly number[];
  /** Cosines of all decoder rows with the label's direction. `[d_sae]` */
  readonly cosines: Float32Array;
  /** The label's direction. `[d]` */
  readonly direction: Float32Array;
  /** Latents of which random ones are drawn. */
  readonly pool: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Called between pieces of work, which wait for it. */
  readonly pause?: () => Promise<void>;
}

/** What the metric gains by a removal. */
export interface Removal {
  readonly kind: RemovedKind;
  readonly effect: number;
}

/** A prompt at hand. */
interface ReadWord {
  readonly text: SplicedText;
  /** Position of the word. */
  readonly position: number;
  readonly metric: Metric;
  readonly value: number;
  readonly active: readonly Pick<ScoredLatent, "latent" | "activation" | "cosine">[];
  readonly reading: ProjectionReading;
}

/** Sum of the main latents' activations at the word: below 1e-8 they are silent. Reads no further than the word. */
export async function mainActivation(
  { gradients, site, main, signal }: WordJudge,
  { ids }: WordPrompt,
): Promise<number> {
  const { acts } = await spliceText(gradients, site, ids, signal);
  const [from = 0, to = 0] = acts.offsets.subarray(ids.length - 1, ids.length + 1);
  let sum = 0;
  for (let at = from; at < to; at++) if (main.includes(acts.latents[at]!)) sum += acts.acts[at]!;
  return sum;
}

/** A word that the main latents' own probe misses: the rule's steps, and removals. */
export async function judgeWord(
  judge: WordJudge,
  prompt: WordPrompt,
  { metric, sparseScore, random }: { metric: Metric; sparseScore: number; random: SeededRandom },
): Promise<{ word: CausalWord; removals: Removal[] }> {
  const { gradients, main, cosines, signal, pause } = judge;
  const read = await readWord(judge, prompt, metric);
  const { text, position, reading, value } = read;
  const attribution: Attribution = await attributeText(gradients, text, {
    metric,
    positions: [position],
    method: "integrated",
    steps: causalRule.steps,
    points: "end",
    ...(signal ? { signal } : {}),
    ...(pause ? { onStep: pause } : {}),
  });
  const scored = attribution.latents.map(({ latent, activation, attribution: raises }) => ({
    latent,
    activation,
    cosine: cosines[latent]!,
    score: raises === 0 ? 0 : -raises,
  }));
  const { verdict, steps, strongest } = causalVerdict(scored, main);
  const { top, ...figures } = steps;
  const effectOf = (rows: readonly TakenRow[]) => gainWithout(judge, read, rows);
  const topEffect = top ? await effectOf([taken(top)]) : undefined;
  const projected = absorberByProjection(reading);
  const removals: Removal[] = [];
  if (!steps.isSilent)
    removals.push({ kind: "main-weak", effect: await effectOf(mainRows(read, main)) });
  if (top && topEffect !== undefined && verdict !== "none")
    removals.push({ kind: "absorber-causal", effect: topEffect });
  if (projected) {
    const isTop = projected.latent === top?.latent && topEffect !== undefined;
    const effect = isTop ? topEffect : await effectOf([taken(projected)]);
    removals.push({ kind: "absorber-projection", effect });
  }
  const absorber = verdict === "none" ? projected : top;
  if (absorber) {
    const avoided = [...main, ...reading.absorbers.map((it) => it.latent), absorber.latent];
    removals.push(...(await controls(judge, read, { absorber, avoided, random })));
  }
  const word: CausalWord = {
    word: prompt.word.text,
    prompt: prompt.text,
    sparseScore,
    value,
    verdict,
    ...figures,
    top: top ?? null,
    topEffect: topEffect ?? null,
    strongest,
    byProjection: {
      isFull: reading.isFull,
      isPartial: reading.isPartial,
      fraction: reading.fraction,
      absorber: projected?.latent ?? null,
    },
  };
  return { word, removals };
}

/** A word that the main latents' own probe knows: what their removal does, and that of an absorber beside them. */
export async function judgeControl(
  judge: WordJudge,
  prompt: WordPrompt,
  { metric, random }: { metric: Metric; random: SeededRandom },
): Promise<Removal[]> {
  const read = await readWord(judge, prompt, metric);
  const rows = mainRows(read, judge.main);
  const removals: Removal[] = [];
  if (rows.length > 0)
    removals.push({ kind: "main", effect: await gainWithout(judge, read, rows) });
  const absorber = absorberByProjection(read.reading);
  if (!absorber) return removals;
  await judge.pause?.();
  const effect = await gainWithout(judge, read, [taken(absorber)]);
  removals.push({ kind: "absorber-projection", effect });
  const avoided = [...judge.main, ...read.reading.absorbers.map((it) => it.latent)];
  return [...removals, ...(await controls(judge, read, { absorber, avoided, random }))];
}

async function readWord(
  { gradients, site, cosines, main, direction, signal }: WordJudge,
  { ids, wholeIds }: WordPrompt,
  metric: Metric,
): Promise<ReadWord> {
  const text = await spliceText(gradients, site, wholeIds, signal);
  const position = ids.length - 1;
  const [from = 0, to = 0] = text.acts.offsets.subarray(position, position + 2);
  const latents = text.acts.latents.subarray(from, to);
  const acts = text.acts.acts.subarray(from, to);
  const value = await metricAt(gradients, text, { metric, resid: text.resid, signal });
  const d = direction.length;
  const norm = Math.sqrt(dot(direction, 0, { b: direction, bAt: 0, n: d })) || 1;
  const x = text.input.subarray(position * d, (position + 1) * d);
  const projection = dot(x, 0, { b: direction, bAt: 0, n: d }) / norm;
  const active = Array.from(latents, (latent, at) => ({
    latent,
    activation: acts[at]!,
    cosine: cosines[latent]!,
  }));
  const reading = projectionReading({ latents, acts }, { cosines, main, projection });
  return { text, position, metric, value, active, reading };
}

/** The latent that took over by SAEBench's rule, if the word is absorbed by it. */
function absorberByProjection({
  isFull,
  isPartial,
  strongest,
  absorbers,
}: ProjectionReading): LatentProjection | undefined {
  return isFull ? strongest[0] : isPartial ? absorbers[0] : undefined;
}

async function controls(
  judge: WordJudge,
  read: ReadWord,
  {
    absorber,
    avoided,
    random,
  }: {
    absorber: { readonly latent: number; readonly activation: number };
    avoided: readonly number[];
    random: SeededRandom;
  },
): Promise<Removal[]> {
  const removals: Removal[] = [];
  const distance = (it: { readonly activation: number }): number =>
    Math.abs(it.activation - absorber.activation);
  const [other] = read.active
    .filter((it) => !avoided.includes(it.latent))
    .toSorted((a, b) => distance(a) - distance(b) || a.latent - b.latent);
  await judge.pause?.();
  if (other)
    removals.push({ kind: "other-active", effect: await gainWithout(judge, read, [taken(other)]) });
  const pool = judge.pool.filter((latent) => !avoided.includes(latent));
  const latent = pool[Math.floor(random.uniform() * pool.length)];
  if (latent === undefined) return removals;
  const row = { latent, amount: absorber.activation };
  removals.push({ kind: "random", effect: await gainWithout(judge, read, [row]) });
  return removals;
}

async function gainWithout(
  { gradients, signal }: WordJudge,
  { text, position, metric, value }: ReadWord,
  rows: readonly TakenRow[],
): Promise<number> {
  return -(await fallWithout(gradients, text, { position, rows, metric, value, signal }));
}

function mainRows({ active }: ReadWord, main: readonly number[]): TakenRow[] {
  return active.filter((it) => main.includes(it.latent)).map(taken);
}

function taken({
  latent,
  activation,
}: {
  readonly latent: number;
  readonly activation: number;
}): TakenRow {
  return { latent, amount: activation };
}
