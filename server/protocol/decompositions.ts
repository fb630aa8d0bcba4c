/** Which decomposition of activations helps for a labelled task, and whether a meta-SAE repairs absorption: for reader, page and shell. */
import type { AbsorptionSetting, AnswerScores } from "./absorption.ts";

/** One level of decomposition. */
export interface Level {
  readonly sae: string;
  /** The meta-SAE whose meta-latents stand for the latents; absent for the SAE itself. */
  readonly meta?: string;
  /** For a meta-SAE of a meta-SAE: those between it and the SAE, nearest first. */
  readonly through?: readonly string[];
  readonly latents: number;
  /** Mean active latents of a held-out word. */
  readonly l0: number;
  /** Σ‖x − x_hat‖² / Σ‖x − mean x‖² over held-out words. */
  readonly fvu: number;
  /** Bits to name the active latents of a word and to say their activations: L0 · (log2 latents + `valueBits`). */
  readonly bits: number;
  /** Mean F1 over labels, on held-out words, of probes on the best one to four latents. */
  readonly f1: readonly number[];
}

/** What `levels --json` prints. */
export interface LevelsReport {
  readonly schemaVersion: 1;
  readonly task: string;
  /** Bits that an activation is taken to need. */
  readonly valueBits: number;
  readonly levels: readonly Level[];
}

/** One label, read with and without the absorbers' meta-latents; on held-out words, against the labels. */
export interface RepairedLabel {
  readonly label: string;
  readonly main: readonly number[];
  /** Of each absorber, the meta-latent nearest the probe; undefined where it has none along it. */
  readonly parts: readonly {
    readonly absorber: number;
    readonly part: number | undefined;
    readonly cosine: number;
  }[];
  readonly before: AnswerScores;
  readonly after: AnswerScores;
  /** Means over shuffles of which latent has which breakdown. */
  readonly control: AnswerScores;
}

/** What `repair --json` prints. */
export interface RepairReport {
  readonly schemaVersion: 1;
  readonly sae: string;
  readonly meta: string;
  readonly task: string;
  readonly labels: readonly RepairedLabel[];
}

/** How a task is read for both. */
export interface DecompositionTask {
  readonly labels: string;
  readonly setting: AbsorptionSetting;
  /** Files of running text; none: the bundled sample. */
  readonly texts?: readonly string[];
}

/** What the reader is asked. */
export interface DecompositionReaderMethods {
  /** `saes` in the order of the answer; each meta-SAE is tried on the one that it is listed with. */
  levels(
    params: DecompositionTask & {
      lm: string;
      saes: readonly { readonly sae: string; readonly metas: readonly string[] }[];
    },
  ): LevelsReport;
  repair(params: DecompositionTask & { lm: string; sae: string; meta: string }): RepairReport;
  /** How far the comparison under way has come. */
  decompositionProgress(params: Record<string, never>): { share: number; text: string };
}

/** An SAE to choose. */
export interface DecompositionCandidate {
  readonly id: string;
  readonly path: string;
  readonly detail: string;
  /** Chosen at first. */
  readonly chosen: boolean;
}

/** What the page asks of the server; SAEs by their paths. */
export interface DecompositionMethods {
  decompositionChoices(params: { uri?: string }): {
    lm: string;
    candidates: DecompositionCandidate[];
    tasks: { name: string; labels: string; detail: string }[];
  };
  compareLevels(
    params: DecompositionTask & { uri?: string; paths: readonly string[] },
  ): LevelsReport;
  tryRepair(params: DecompositionTask & { uri?: string; sae: string; meta: string }): RepairReport;
  decompositionProgress(params: Record<string, never>): { share: number; text: string };
}

/** Differences of F1 below this say nothing on some hundred words: ours, for both sentences. */
const margin = 0.01;
/** Below this F1 latents do not know a label; SAEBench's bound for probes. */
const knows = 0.6;

/** How a level is called. */
export function levelName({ sae, meta, through = [] }: Level): string {
  return [...(meta === undefined ? [] : [meta]), ...through, sae].join(" of ");
}

/** Which level to use: the best single latents; among those as good within a hundredth the shortest description. */
export function levelsAdvice(levels: readonly Level[]): string {
  const single = ({ f1 }: Level): number => f1[0] ?? 0;
  const best = Math.max(...levels.map(single));
  const [chosen] = levels
    .filter((it) => single(it) >= best - margin)
    .toSorted((a, b) => a.bits - b.bits);
  if (!chosen) return "";
  if (best < knows)
    return `no level has latents of its own for these labels: the best single latents, of ${levelName(chosen)}, reach F1 ${best.toFixed(3)}`;
  return `for this task: ${levelName(chosen)} (best single latents, F1 ${single(chosen).toFixed(3)}; of those as good within ${margin} the fewest bits)`;
}

/** Whether repair helps, with the means that say so. */
export function repairSentence(labels: readonly RepairedLabel[]): string {
  const absorbed = labels.filter(({ parts }) => parts.length > 0);
  if (absorbed.length === 0)
    return "nothing to repair: no latent took over a training word of any label";
  const tried = absorbed.filter(({ parts }) => parts.some(({ part }) => part !== undefined));
  if (tried.length === 0)
    return "repair cannot help: no absorber has a meta-latent along the probe's direction";
  const [before, after, control] = (["before", "after", "control"] as const).map((kind) =>
    meanScores(tried.map((it) => it[kind])),
  ) as [AnswerScores, AnswerScores, AnswerScores];
  const helps = after.f1 > before.f1 + margin && after.f1 > control.f1 + margin;
  const change = (key: keyof AnswerScores): string =>
    `${before[key].toFixed(3)} → ${after[key].toFixed(3)}`;
  const over = `over ${tried.length} ${tried.length === 1 ? "label" : "labels"} with absorbers mean F1 ${change("f1")} (recall ${change("recall")}, precision ${change("precision")})`;
  const shuffled = `breakdowns dealt out at random reach F1 ${control.f1.toFixed(3)} (recall ${control.recall.toFixed(3)}, precision ${control.precision.toFixed(3)})`;
  return `repair ${helps ? "helps" : "does not help"}: ${over}; ${shuffled}`;
}

function meanScores(all: readonly AnswerScores[]): AnswerScores {
  const mean = (key: keyof AnswerScores): number =>
    all.reduce((sum, it) => sum + it[key], 0) / all.length;
  return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
}
