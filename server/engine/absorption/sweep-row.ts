/** What a sweep keeps of an SAE's report. */
import { spreadOf } from "../../analysis/absorption/summary.ts";
import type { AbsorptionReport, LabelReport } from "../../protocol/absorption.ts";
import type { FrequencyBin, SweepRow } from "../../protocol/absorption-sweep.ts";
import type { SaeInfo } from "../../protocol/reader.ts";
import type { CorpusCounts } from "./corpus-counts.ts";

/** Lower ends of the bins, in occurrences per million tokens; what never stands in the corpus is below the first. */
const binEnds = [Number.MIN_VALUE, 1, 10, 100, 1000, 10_000] as const;

/** Picks out and adds up. */
export function sweepRow(
  report: AbsorptionReport,
  { path, architecture, declared }: Pick<SaeInfo, "path" | "architecture" | "declared">,
  corpus: CorpusCounts,
): SweepRow {
  const { sae, hook, d_sae, l0, mean, labels, problems } = report;
  const trained = declared["training_architecture"] ?? declared["trained_as"] ?? architecture;
  const trainedWith = declared["trained_with"];
  const counted = labels.filter((it) => it.probeCounts);
  const splits = spreadOf(counted.map((it) => it.main.length));
  return {
    sae,
    path,
    hook,
    architecture: String(trained),
    trainedWith: typeof trainedWith === "string" ? trainedWith.split(", ") : [],
    d_sae,
    l0,
    mean,
    labels: labels.map((it) => ({
      label: it.label,
      probeCounts: it.probeCounts,
      hasMainLatents: it.hasMainLatents,
      fullRate: it.fullRate,
      partialRate: it.partialRate,
      meanFraction: it.meanFraction,
      words: it.words.length,
      probeF1: it.probe.f1,
      mainF1: it.mainProbe.f1,
    })),
    frequency: frequencyBins(labels, corpus),
    problems,
    eval_result_metrics: {
      mean: {
        mean_absorption_fraction_score: mean.fraction,
        mean_full_absorption_score: mean.fullRate,
        mean_num_split_features: splits.mean,
        std_dev_absorption_fraction_score: mean.standardDeviation.fraction,
        std_dev_full_absorption_score: mean.standardDeviation.fullRate,
        std_dev_num_split_features: splits.standardDeviation,
      },
    },
    eval_result_details: counted.map((it) => ({
      first_letter: it.label,
      mean_absorption_fraction: it.meanFraction,
      full_absorption_rate: it.fullRate,
      num_full_absorption: it.full,
      num_probe_true_positives: it.words.length,
      num_split_features: it.main.length,
    })),
  };
}

/** Bins that hold words, over labels about which the rule says something. */
export function frequencyBins(
  labels: readonly Pick<LabelReport, "probeCounts" | "hasMainLatents" | "words">[],
  { counts, tokens }: Pick<CorpusCounts, "counts" | "tokens">,
): FrequencyBin[] {
  const sums = [0, ...binEnds].map((from, at) => ({
    from: at === 1 ? 0 : from,
    below: at === 0 ? 0 : (binEnds[at] ?? null),
    words: 0,
    full: 0,
    fraction: 0,
  }));
  for (const { probeCounts, hasMainLatents, words } of labels) {
    if (!probeCounts || !hasMainLatents) continue;
    for (const { word, isFull, fraction } of words) {
      const perMillion = (1e6 * (counts.get(word) ?? 0)) / Math.max(1, tokens);
      const bin = sums[binEnds.findLastIndex((end) => perMillion >= end) + 1]!;
      bin.words++;
      bin.full += isFull ? 1 : 0;
      bin.fraction += fraction;
    }
  }
  return sums
    .filter(({ words }) => words > 0)
    .map(({ from, below, words, full, fraction }) => ({
      from,
      below,
      words,
      fullRate: full / words,
      meanFraction: fraction / words,
    }));
}
