/** What an absorption run reads of a model, and the rows that come of it. */
import type { Selection } from "../../analysis/probes/k-sparse.ts";
import type { RowLabels } from "../../analysis/probes/linear-probe.ts";
import { tooFewWords } from "../../analysis/tasks/errors.ts";
import type { LabelledTask } from "../../analysis/tasks/task.ts";
import type { TaskWord } from "../../analysis/tasks/word-prompts.ts";
import type { HookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { AbsorptionSetting } from "../../protocol/absorption.ts";

/** What is read, and where. */
export interface WordPlan {
  readonly lm: LanguageModel;
  readonly task: LabelledTask;
  readonly hook: HookPoint;
  readonly prependBos: boolean;
  readonly setting: AbsorptionSetting;
  /** Running text, for the setting "text". */
  readonly texts: readonly string[];
  readonly perLabel?: number | undefined;
  readonly seed: number;
  /**
   * Words that share one draw of examples: 1 as in SAEBench; with more, all but the word itself comes from the KV cache, which is
   * several times as fast.
   */
  readonly wordsPerDraw: number;
  readonly probe: ProbeKind;
  /** Which words are judged: those held out, as SAEBench does, or all. */
  readonly judge: "held-out" | "all";
  /** How an SAE's latents are chosen, and how many at most; the words and the probe do not hang on it. */
  readonly selection: Selection;
  readonly maxK: number;
}

/**
 * `logistic`: logistic regression on standardised rows with L2 (multinomial where every word has one label);
 * `sae-bench`: its recipe; `mean-difference`: no training at all.
 */
export type ProbeKind = "logistic" | "sae-bench" | "mean-difference";

/** How a long piece of work goes on: `step` runs device work in its turn. */
export interface Work {
  readonly step: <T>(job: () => Promise<T>) => Promise<T>;
  readonly onProgress: (text: string, share: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Words with what the model has there. */
export interface WordRows {
  readonly words: readonly TaskWord[];
  readonly labels: RowLabels;
  /** `[words, d]` */
  readonly x: Float32Array;
}

/** Rows with the labels of their words. */
export function wordRows(words: readonly TaskWord[], x: Float32Array, nLabels: number): WordRows {
  const values = new Uint8Array(words.length * nLabels);
  for (const [row, { labels }] of words.entries())
    for (const label of labels) values[row * nLabels + label] = 1;
  return { words, x, labels: { nRows: words.length, nLabels, values } };
}

/** Rows one after the other. */
export function joined(rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]?.length ?? 0;
  const x = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) x.set(row, at * width);
  return x;
}

/** Refuses a task that leaves nothing to learn. */
export function checkEnough(words: readonly TaskWord[], { task, lm }: WordPlan): void {
  const labels = new Set(words.flatMap((it) => it.labels));
  if (words.length < 20 || (task.labels.length > 1 && labels.size < 2))
    throw tooFewWords(task.name, lm.id, words.length);
}
