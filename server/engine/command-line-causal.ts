/** What `absorption --rule paper` prints besides. */
import { causalRule } from "../analysis/absorption/causal-rule.ts";
import type { CausalReport, RemovalEffect, RemovedKind } from "../protocol/causal-absorption.ts";

/** The published number of words. */
export const defaultCausalWords = causalRule.wordsPerLabel;

const removedText: Readonly<Record<RemovedKind, string>> = {
  main: "main latents, where their probe knows the word",
  "main-weak": "main latents, where they fire and their probe misses it",
  "absorber-causal": "absorbers by the paper's rule (chosen by their effect)",
  "absorber-projection": "absorbers by SAEBench's rule",
  "other-active": "other active latent, nearest in activation",
  random: "random latent, as much as the absorber",
};

/** The paper's part of a report as a table. */
export function paperRuleText(report: CausalReport): string {
  const { labels, mean, agreement, thresholds, metric, effects, problems } = report;
  const rows = labels.map((it) => {
    const took = it.absorbers
      .slice(0, 3)
      .map(({ latent, words }) => `#${latent} ${words.slice(0, 4).join(",")}`)
      .join("; ");
    const counts = [it.truePositives, it.falseNegatives, it.silent, it.absorbed, it.partial];
    return [
      it.label.padEnd(12),
      ...counts.map((count) => String(count).padStart(8)),
      percent(it.absorptionRate).padStart(9),
      took === "" ? "" : `  ${took}`,
    ].join("");
  });
  const { correlation } = agreement;
  return [
    "by the paper's causal rule (Chanin et al. 2024)",
    "label          known  missed  silent absorbed partial     rate  absorbers",
    ...rows,
    `mean over ${mean.labels} labels: absorbed ${percent(mean.absorptionRate)}, in part ${percent(mean.partialRate)}`,
    `metric: ${metric}; what it gains when a latent is removed, mean and 95 % interval over words:`,
    ...effects.map(effectText),
    ...(correlation === null
      ? []
      : [
          `integrated gradients against real removal of ${agreement.words} first latents: r = ${correlation.toFixed(3)}`,
        ]),
    `rule paper: ${Object.entries(thresholds)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}`,
    ...problems,
  ].join("\n");
}

function effectText({ kind, words, mean, low, high }: RemovalEffect): string {
  const [text, ...range] = [mean, low, high].map((it) => it.toFixed(3).replace("-", "−"));
  // One word alone has no interval.
  const interval = words === 1 ? "" : `  [${range.join(", ")}]`;
  return `  ${removedText[kind].padEnd(56)} ${text!.padStart(7)}${interval}  ${words} word${words === 1 ? "" : "s"}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
