/** Latents that were found, in words. */
import type { FoundLatent, FoundLatents } from "./find.ts";

const header = ["latent", "set", "AUC", "F1", "(train)", "mean 1st", "mean 2nd", "fires 1st/2nd"];
const widths = [8, 7, 7, 7, 8, 9, 9, 14];

/** Of which of the two sets a latent speaks. */
export function setName(set: FoundLatent["set"]): string {
  return set === "positive" ? "first" : "second";
}

/** A table, with what stands beside it and what speaks against it. */
export function foundText(
  found: FoundLatents,
  labels: Readonly<Record<number, string>> = {},
): string {
  const { latents, combinations, baseline } = found;
  const rows = latents.map((it) => [
    `#${it.latent}`,
    setName(it.set),
    ...[it.auc, it.f1, it.trainAuc].map(figure),
    ...[it.positiveMean, it.negativeMean].map((value) => value.toPrecision(3)),
    `${percent(it.positiveShare)} / ${percent(it.negativeShare)}`,
    labels[it.latent] ?? "",
  ]);
  return [
    ...[header, ...rows].map((cells) =>
      cells
        .map((cell, at) => (widths[at] === undefined ? `  ${cell}` : cell.padStart(widths[at])))
        .join("")
        .trimEnd(),
    ),
    ...combinations.map(
      ({ latents: together, auc, f1 }) =>
        `${together.map((it) => `#${it}`).join(" + ")}: AUC ${figure(auc)}, F1 ${figure(f1)}`,
    ),
    `probe on the mean residual: AUC ${figure(baseline.auc)}, F1 ${figure(baseline.f1)}`,
    ...summaryLines(found),
  ].join("\n");
}

/** What the figures are of, and what speaks against them. */
export function summaryLines({
  positives,
  negatives,
  heldPositives,
  heldNegatives,
  pool,
  seed,
  notes,
}: FoundLatents): string[] {
  return [
    `${positives} and ${negatives} examples, ${heldPositives} and ${heldNegatives} of them held out (seed ${seed}); scores are of those; ${pool} over an example's tokens`,
    ...notes.map((note) => `note: ${note}`),
  ];
}

function figure(value: number): string {
  return Number.isNaN(value) ? "–" : value.toFixed(3);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
