/** What a hover says about absorption: one line per labelled task that applies to the token. */
import type { TokenAbsorption } from "../protocol/absorption.ts";
import { figure, plain, visible } from "./markdown.ts";

/** The rule's constants that the lines name; `server/analysis/absorption` has them from SAEBench. */
const rule = "absorbed: main latents silent and another latent with ≥ 0.4 of the projection";

/** How parts of a line are written. */
interface Style {
  /** Text that comes from files. */
  readonly text: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly lean: (text: string) => string;
}

const markdown: Style = {
  text: plain,
  strong: (text) => `**${text}**`,
  lean: (text) => `*${text}*`,
};
const asIs: Style = { text: visible, strong: (text) => text, lean: (text) => text };

/** Lines of Markdown. */
export function absorptionLines(verdicts: readonly TokenAbsorption[]): string[] {
  return verdicts.flatMap((it) => ["", line(it, markdown)]);
}

/** The same of one verdict as plain text. */
export function absorptionText(verdict: TokenAbsorption): string {
  return line(verdict, asIs);
}

function line(it: TokenAbsorption, { text, strong, lean }: Style): string {
  const where = it.setting === "prompts" ? "" : " in running text";
  const name = `${text(it.task)}${it.label === undefined ? "" : ` “${text(it.label)}”`}${where}`;
  const head = `${strong(title(it))} · ${name}`;
  if (it.probability === undefined) return head;
  const parts = [
    `probe ${it.probability.toFixed(2)} (F1 ${figure(it.probeF1 ?? 0)} on held-out words)`,
    ...mainText(it),
    ...carriers(it),
    ...whyText(it),
  ];
  return `${head}: ${parts.join("; ")}${it.verdict === "absorbed" ? ` · ${lean(rule)}` : ""}`;
}

function title({ verdict, reason, isPartial, mainF1, probability }: TokenAbsorption): string {
  switch (verdict) {
    case "absorbed":
      return "absorbed";
    case "fires":
      return isPartial ? "fires, partly absorbed" : "fires";
    case "no-latent":
      return `no latent for this feature (F1 of the best ones ${figure(mainF1 ?? 0)}, below 0.6)`;
    case "not-judged":
      return `not judged: ${reasonText(reason, probability)}`;
    default:
      return verdict satisfies never;
  }
}

function reasonText(reason: TokenAbsorption["reason"], probability = 0): string {
  switch (reason) {
    case "several-tokens":
      return "the word is several tokens";
    case "too-few-words":
      return "too few words have this label";
    case "probe-poor":
      return "the probe's F1 on held-out words is below 0.6";
    case "no-absorber":
      return "main latents silent, but no latent has 0.4 of the projection";
    case "probe-unsure":
    case undefined:
      return `the probe is unsure (${figure(probability)}, needs above 0.5)`;
    default:
      return reason satisfies never;
  }
}

function mainText({ main = [], mainF1, verdict }: TokenAbsorption): string[] {
  if (verdict === "no-latent") return [];
  return main.map(({ latent, activation, preActivation, threshold }) => {
    const limits = [
      ...(preActivation === undefined ? [] : [`pre-activation ${figure(preActivation)}`]),
      ...(threshold === undefined ? [] : [`threshold ${figure(threshold)}`]),
      ...(mainF1 === undefined ? [] : [`F1 ${figure(mainF1)}`]),
    ];
    const state = activation > 0 ? figure(activation) : "silent";
    return `main #${latent} ${state} (${limits.join(", ")})`;
  });
}

/** The strongest latent that is no main one. */
function carriers({ strongest = [], main = [], projection, isPartial, verdict }: TokenAbsorption) {
  if (projection === undefined || projection <= 0) return [];
  if (verdict === "no-latent" || (verdict === "fires" && !isPartial)) return [];
  const other = strongest.find((it) => !main.some(({ latent }) => latent === it.latent));
  if (!other) return [];
  const share = (other.projection / projection).toFixed(2);
  return [
    `#${other.latent} carries ${share} of the probe's projection (cosine ${other.cosine.toFixed(2)})`,
  ];
}

/** What pushed the main latent and what held it down. */
function whyText({ why, main = [] }: TokenAbsorption): string[] {
  const [first] = main;
  const [row] = why?.rows ?? [];
  if (!why || !first || !row) return [];
  const others = why.rest + why.rows.slice(1).reduce((sum, it) => sum + it.part, 0);
  return [
    `of #${first.latent}'s pre-activation the probe's direction gives ${figure(why.probe)}, #${row.latent}'s row besides it ${figure(row.part)} (cosine with #${first.latent}'s encoder ${row.encoderCosine.toFixed(2)}, with its decoder row ${row.decoderCosine.toFixed(2)}), the rest ${figure(others)}`,
  ];
}
