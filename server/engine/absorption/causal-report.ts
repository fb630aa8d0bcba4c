/** What was judged by the causal rule as a report: counts, rates, absorbers, means with intervals. */
import { causalRule, partialRule } from "../../analysis/absorption/causal-rule.ts";
import { confidence, meanInterval, resamples } from "../../analysis/absorption/mean-interval.ts";
import { spreadOf } from "../../analysis/absorption/summary.ts";
import { correlation } from "../../analysis/attribution/ablation.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import type { LabelReport } from "../../protocol/absorption.ts";
import type {
  CausalLabel,
  CausalReport,
  CausalWord,
  RemovalEffect,
  RemovedKind,
} from "../../protocol/causal-absorption.ts";
import type { Removal } from "./judge-word.ts";
import type { MeasuredSae } from "./run.ts";

/** Words of a label whose main latents fire, at most so many, on which their removal is tried. */
export const controlWords = 20;
/** Which random numbers are for intervals. */
const intervalSeed = 0xb007;

const kinds: readonly RemovedKind[] = [
  "main",
  "main-weak",
  "absorber-causal",
  "absorber-projection",
  "other-active",
  "random",
];

/** Everything that is fixed. */
const thresholds = {
  mainSilent: causalRule.silent,
  margin: causalRule.margin,
  cosine: causalRule.cosine,
  steps: causalRule.steps,
  partialMainCosine: partialRule.mainCosine,
  partialMainEffect: partialRule.mainEffect,
  controlWords,
  resamples,
  confidence,
} as const;

/** A label with the removals that were tried on its words. */
export interface JudgedLabel {
  readonly report: CausalLabel;
  readonly removals: readonly Removal[];
}

type Counts = Pick<
  CausalLabel,
  "truePositives" | "falseNegatives" | "silent" | "silentJudged" | "weak" | "weakJudged"
>;

/** One label out of its judged words. */
export function labelOf(
  { label, main }: LabelReport,
  {
    counts,
    words,
    answer,
    removals,
    seeds,
  }: {
    counts: Counts;
    words: readonly CausalWord[];
    answer: string;
    removals: readonly Removal[];
    seeds: readonly number[];
  },
): CausalLabel {
  const count = (verdict: CausalWord["verdict"]): number =>
    words.filter((it) => it.verdict === verdict).length;
  const [absorbed, partial] = [count("absorbed"), count("partial")];
  const rate = (found: number, of: number, judgedOf: number): number =>
    judgedOf === 0 ? 0 : (found * of) / judgedOf / counts.truePositives;
  return {
    label,
    answer,
    main,
    ...counts,
    absorbed,
    partial,
    absorptionRate: rate(absorbed, counts.silent, counts.silentJudged),
    partialRate: rate(partial, counts.weak, counts.weakJudged),
    absorbers: absorbersOf(words),
    effects: effectsOf(removals, seeds),
    words,
  };
}

/** The latents that took over, those of most words first. */
function absorbersOf(words: readonly CausalWord[]): CausalLabel["absorbers"] {
  const found = new Map<number, CausalWord[]>();
  for (const word of words)
    if (word.verdict !== "none" && word.top)
      found.set(word.top.latent, [...(found.get(word.top.latent) ?? []), word]);
  return [...found]
    .map(([latent, list]) => ({
      latent,
      cosine: list[0]!.top!.cosine,
      meanScore: list.reduce((sum, it) => sum + it.top!.score, 0) / list.length,
      words: list.map((it) => it.word),
    }))
    .sort((a, b) => b.words.length - a.words.length || a.meanScore - b.meanScore);
}

function effectsOf(removals: readonly Removal[], seeds: readonly number[]): RemovalEffect[] {
  return kinds.flatMap((kind, at) => {
    const values = removals.filter((it) => it.kind === kind).map((it) => it.effect);
    const found = meanInterval(values, new SeededRandom(...seeds, intervalSeed, at));
    if (!found) return [];
    const { n, mean, low, high } = found;
    return [{ kind, words: n, mean, low, high }];
  });
}

/** The whole report. */
export function reportOf(
  { plan, report }: MeasuredSae,
  labels: readonly JudgedLabel[],
  wordsPerLabel: number,
): CausalReport {
  const reports = labels.map((it) => it.report);
  const full = spreadOf(reports.map((it) => it.absorptionRate));
  const part = spreadOf(reports.map((it) => it.partialRate));
  const checked = reports.flatMap(({ words }) =>
    words.flatMap(({ top, topEffect }) => (top && topEffect !== null ? [{ top, topEffect }] : [])),
  );
  const r = correlation(
    checked.map((it) => it.top.score),
    checked.map((it) => it.topEffect),
  );
  return {
    rule: "paper",
    metric: "logit of the right answer less the mean logit of the other labels' answers",
    thresholds: { ...thresholds, wordsPerLabel },
    mean: {
      labels: reports.length,
      absorptionRate: full.mean,
      partialRate: part.mean,
      standardDeviation: {
        absorptionRate: full.standardDeviation,
        partialRate: part.standardDeviation,
      },
    },
    effects: effectsOf(
      labels.flatMap((it) => it.removals),
      [plan.seed],
    ),
    agreement: { words: checked.length, correlation: r ?? null },
    labels: reports,
    problems: problemsOf(report.labels),
  };
}

function problemsOf(labels: readonly LabelReport[]): string[] {
  const unsure = labels.filter((it) => !it.probeCounts).map((it) => it.label);
  const absent = labels.filter((it) => it.probeCounts && !it.hasMainLatents).map((it) => it.label);
  return [
    ...(unsure.length > 0 ? [`not judged, because the probe is unsure: ${unsure.join(", ")}`] : []),
    ...(absent.length > 0
      ? [`not judged, because no latents know the label: ${absent.join(", ")}`]
      : []),
  ];
}
