/** Results of `diff` and `counterfactual` as text for people. */
import type { ChangeCounts, Distance } from "../../protocol/comparison.ts";
import type { DiffedPair, DiffResult, LeftOutResult } from "./comparison.ts";

/** Latents of each pair of contexts that differ, the largest changes first. */
export function printDiff({ lm, sae, hook, pairs, labels, problems }: DiffResult): string {
  const lines = [`${sae} at ${hook}, ${lm}`];
  for (const pair of pairs) {
    lines.push("", `${pair.title}: ${pair.state}${figures(pair)}`);
    for (const { latent, kind, before, after, change, strongest } of pair.latents ?? []) {
      const row = pair.rows?.[strongest.row];
      const token = pair.after?.[row?.after ?? -1] ?? pair.before?.[row?.before ?? -1];
      const sums = `${before.sum.toPrecision(3)} → ${after.sum.toPrecision(3)}`;
      const where = `most at ${JSON.stringify(token?.text ?? "")} ${strongest.before.toPrecision(3)} → ${strongest.after.toPrecision(3)}`;
      lines.push(
        `${change.toPrecision(3).padStart(9)}  #${String(latent).padEnd(6)} ${kind.padEnd(8)} ${sums.padEnd(20)} ${where}  ${labels[latent] ?? ""}`.trimEnd(),
      );
    }
    lines.push(...(pair.problems ?? []).map((it) => `problem: ${it}`));
  }
  return [...lines, ...problems.map((it) => `problem: ${it}`)].join("\n");
}

function figures(pair: DiffedPair): string {
  const { change, dissimilarity, counts } = pair;
  if (change === undefined || dissimilarity === undefined || !counts) return "";
  return `; ${kinds(counts)}; ${distance({ change, dissimilarity })}`;
}

/** The sentences, a matrix of dissimilarities, and the strongest latents of the strongest cells. */
export function printCounterfactual(found: LeftOutResult): string {
  const { sentences, cells, labels, tokens } = found;
  const lines = [
    `${found.sae} at ${found.hook}, ${found.lm}`,
    "",
    ...sentences.map((it, index) => `${String(index + 1).padStart(3)}  ${oneLine(it.text)}`),
    "",
    "Dissimilarity of activations, 0 (same) to 1 (no latent in common): rows are left out, columns change",
    ["    ", ...sentences.slice(1).map((_, index) => String(index + 2).padStart(6))].join(""),
  ];
  for (let leftOut = 0; leftOut < sentences.length - 1; leftOut++) {
    const row = sentences.slice(1).map((_, column) => {
      const cell = cells.find((it) => it.leftOut === leftOut && it.affected === column + 1);
      return (cell ? cell.dissimilarity.toFixed(3) : "").padStart(6);
    });
    lines.push([String(leftOut + 1).padStart(3), " ", ...row].join(""));
  }
  const strongest = cells
    .filter((it) => it.change > 0)
    .toSorted((a, b) => b.dissimilarity - a.dissimilarity)
    .slice(0, 5);
  for (const cell of strongest) {
    lines.push(
      "",
      `without ${cell.leftOut + 1}, in ${cell.affected + 1}: ${kinds(cell.counts)}; ${distance(cell)}; ${cell.tokens} tokens compared, ${cell.notCompared} not`,
      ...cell.latents.map(({ latent, kind, before, after, change, token }) =>
        `${change.toPrecision(3).padStart(9)}  #${String(latent).padEnd(6)} ${kind.padEnd(8)} ${`${before.toPrecision(3)} → ${after.toPrecision(3)}`.padEnd(20)} most at ${JSON.stringify(tokens[token]?.text ?? "")}  ${labels[latent] ?? ""}`.trimEnd(),
      ),
    );
  }
  return [...lines, ...found.problems.map((it) => `problem: ${it}`)].join("\n");
}

function kinds({ appears, vanishes, changes }: ChangeCounts): string {
  return `${appears} latents appear, ${vanishes} vanish, ${changes} change`;
}

function distance({ change, dissimilarity }: Distance): string {
  return `Σ|change| ${change.toPrecision(4)}, dissimilarity ${dissimilarity.toFixed(3)}`;
}

function oneLine(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ");
  return line.length > 90 ? `${line.slice(0, 89)}…` : line;
}
