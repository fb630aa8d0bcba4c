/** A sweep as tables for a terminal. */
import type { AbsorptionSweep, FrequencyBin, SweepRow } from "../../protocol/absorption-sweep.ts";

/** One line for each SAE, and one for each SAE and bin of word frequency; nothing for a single SAE's line. */
export function sweepText({ rows, corpus, failed, task, lm }: AbsorptionSweep): string {
  const width = Math.max(3, ...rows.map((it) => it.sae.length));
  const lines = rows.map((row) =>
    [
      row.sae.padEnd(width),
      training(row).padEnd(22),
      String(row.d_sae).padStart(7),
      row.l0.toFixed(1).padStart(7),
      row.mean.mainF1.toFixed(2).padStart(8),
      percent(row.mean.fullRate).padStart(8),
      percent(row.mean.partialRate).padStart(8),
      row.mean.fraction.toFixed(3).padStart(9),
    ].join(" "),
  );
  const head = [
    "SAE".padEnd(width),
    "trained".padEnd(22),
    "latents".padStart(7),
    "L0".padStart(7),
    "main F1".padStart(8),
    "full".padStart(8),
    "partial".padStart(8),
    "fraction".padStart(9),
  ].join(" ");
  const bins = rows.flatMap(({ sae, frequency }) =>
    frequency.map(
      (bin) =>
        `${sae.padEnd(width)} ${binText(bin).padEnd(22)} ${String(bin.words).padStart(7)} ${percent(bin.fullRate).padStart(8)} ${bin.meanFraction.toFixed(3).padStart(9)}`,
    ),
  );
  const frequency = [
    `by the word's frequency in ${corpus.files.join(", ")} (${corpus.tokens} tokens), over labels with main latents`,
    `${"SAE".padEnd(width)} ${"per million tokens".padEnd(22)}   words     full  fraction`,
    ...bins,
  ];
  return [
    ...(rows.length > 1 ? [`${task} at ${lm}, means over labels`, head, ...lines] : []),
    ...(bins.length > 0 ? frequency : []),
    ...failed.map(({ sae, problem }) => `${sae} could not be measured: ${problem}`),
  ].join("\n");
}

function training({ architecture, trainedWith }: SweepRow): string {
  return [architecture, ...trainedWith].join(", ");
}

function binText({ from, below }: FrequencyBin): string {
  if (below === 0) return "never";
  if (below === null) return `${from} and more`;
  return from === 0 ? `below ${below}` : `${from} to ${below}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
