/** The verb `absorption`: which latents took over from which on a labelled task, for one SAE or a sweep over many. */
import { InvalidArgumentError } from "commander";
import { defaultMaxK, largestK } from "../analysis/probes/k-sparse.ts";
import { UserError } from "../base/errors.ts";
import type { AbsorptionReport } from "../protocol/absorption.ts";
import type { AbsorptionSweep } from "../protocol/absorption-sweep.ts";
import { checkHasPrompts } from "./absorption/causal.ts";
import type { AbsorptionChoice } from "./absorption/run.ts";
import { runSweep } from "./absorption/sweep.ts";
import { sweepText } from "./absorption/sweep-text.ts";
import { defaultCausalWords, paperRuleText } from "./command-line-causal.ts";
import { collect, count, oneOf } from "./command-line-options.ts";
import type { EngineVerbs } from "./command-line.ts";

/** What the verb needs of the program around it. */
export interface AbsorptionVerb extends EngineVerbs {
  readonly bundledLm: string;
  readonly sampleText: string;
  readonly cacheFolder: string;
}

/** A task as `repair` and `levels` measure it: in its prompts, by the default probe, on held-out words. */
export function heldOutChoice(options: {
  readonly labels: string;
  readonly wordsPerLabel?: number | undefined;
  readonly seed: number;
}): AbsorptionChoice {
  return {
    labels: options.labels,
    setting: "prompts",
    texts: [],
    perLabel: options.wordsPerLabel,
    seed: options.seed,
    probe: "logistic",
    judge: "held-out",
    selection: "mean-difference",
    maxK: defaultMaxK,
  };
}

/** Lines for people come no more often than this. */
const lineMs = 1000;

/** Adds the verb. */
export function addAbsorptionVerb(around: AbsorptionVerb): void {
  const { verb, signal, cacheFolder } = around;
  verb("absorption", "measure feature absorption of SAEs on a labelled task")
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", around.bundledLm)
    .requiredOption("--sae <path>", "SAE; may be given several times", collect, [])
    .option("--labels <task>", "first-letter, first-letter:paper, or a task file", "first-letter")
    .option(
      "--setting <where>",
      "prompts or text: where words are read",
      word("prompts", "text"),
      "prompts",
    )
    .option("--text <files...>", "running text for --setting text; default: the bundled sample")
    .option("--words-per-label <n>", "at most so many words of a label", count)
    .option(
      "--probe <how>",
      "logistic, sae-bench (its recipe) or mean-difference",
      word("logistic", "sae-bench", "mean-difference"),
      "logistic",
    )
    .option(
      "--selection <how>",
      "mean-difference, or sae-bench: its probe with L1, 50 steps of Adam",
      word("mean-difference", "sae-bench"),
      "mean-difference",
    )
    .option(
      "--max-k <n>",
      `latents of the largest k-sparse probe, at most ${largestK}`,
      maxK,
      defaultMaxK,
    )
    .option(
      "--words-per-draw <n>",
      "words that share one draw of examples; more is faster",
      count,
      1,
    )
    .option("--seed <n>", "seed of splits, prompts and probes", Number, 0)
    .option("--all-words", "judge words that the probe was trained on, too")
    .option(
      "--rule <name>",
      "sae-bench, or paper: the causal rule of Chanin et al. 2024 besides (slow)",
      word("sae-bench", "paper"),
      "sae-bench",
    )
    .option(
      "--rule-words <n>",
      "words of a label that --rule paper judges at most",
      count,
      defaultCausalWords,
    )
    .option(
      "--corpus <files...>",
      "text in which tokens are counted (also .gz): absorption by word frequency; default: the bundled sample",
    )
    .option(
      "--output <folder>",
      "a JSON file for each SAE, and sweep.json over all; what is finished there is not measured again",
    )
    .action((options) =>
      around.withEngine(options, async (engine) => {
        if (options.rule === "paper") checkHasPrompts(options.setting, options.labels);
        const { sweep, reports } = await runSweep(engine, {
          lm: options.lm,
          saes: options.sae,
          choice: {
            labels: options.labels,
            setting: options.setting,
            texts: options.text ?? [around.sampleText],
            perLabel: options.wordsPerLabel,
            seed: options.seed,
            wordsPerDraw: options.wordsPerDraw,
            probe: options.probe,
            judge: options.allWords ? "all" : "held-out",
            selection: options.selection,
            maxK: options.maxK,
            ...(options.rule === "paper" ? { paperWords: options.ruleWords } : {}),
          },
          corpus: options.corpus ?? [around.sampleText],
          folder: options.output,
          cacheFolder,
          work: { signal, step: (job) => job(), onProgress: progress(options.json === true) },
          onReport: (report, isRecalled) => {
            if (options.json) return;
            print(isRecalled ? `${report.sae}: finished before` : reportText(report));
            if (report.paper && !isRecalled) print(paperRuleText(report.paper));
          },
        });
        if (options.json) print(JSON.stringify({ schemaVersion: 1, saes: reports, sweep }));
        else print(sweepText(sweep));
        if (sweep.failed.length > 0) throw notMeasured(sweep);
      }),
    );
}

function notMeasured({ failed, rows }: AbsorptionSweep): UserError {
  const problems = failed.map(({ sae, problem }) => `${sae}: ${problem}`);
  const all = failed.length + rows.length;
  return new UserError(
    "some-not-measured",
    `${failed.length} of ${all} SAEs could not be measured; ${problems.join("; ")}`,
  );
}

/** A report as a table. */
function reportText(report: AbsorptionReport): string {
  const { mean, labels, problems, thresholds } = report;
  const head = `${report.sae} · ${report.hook} · ${report.task} in ${report.setting} · ${report.trainWords} + ${report.testWords} words`;
  const rows = labels.map((it) => {
    const main = it.main.map(({ latent }) => `#${latent}`).join(" ");
    const took = it.absorbers
      .slice(0, 3)
      .map(({ latent, words }) => `#${latent} ${words.slice(0, 4).join(",")}`)
      .join("; ");
    const note = it.probeCounts ? (it.hasMainLatents ? "" : " (no latents)") : " (probe unsure)";
    return [
      it.label.padEnd(12),
      it.probe.f1.toFixed(2).padStart(8),
      it.mainProbe.f1.toFixed(2).padStart(8),
      percent(it.fullRate).padStart(7),
      percent(it.partialRate).padStart(8),
      it.meanFraction.toFixed(3).padStart(9),
      ` ${main}${took === "" ? "" : ` <- ${took}`}${note}`,
    ].join("");
  });
  const rule = Object.entries(thresholds).map(([name, value]) => `${name} ${value}`);
  return [
    head,
    "label       probe F1 main F1   full partial fraction  main latents <- absorbers",
    ...rows,
    `mean over ${mean.labels} labels: full ${percent(mean.fullRate)}, partial ${percent(mean.partialRate)}, fraction ${mean.fraction.toFixed(3)}, main latents ${mean.mainLatents.toFixed(1)}`,
    `rule ${report.rule}, probe ${report.probe}, latents by ${report.selection}: ${rule.join(", ")}`,
    ...problems,
  ].join("\n");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Progress on stderr, so that stdout stays the answer. */
function progress(isJson: boolean): (text: string, share: number) => void {
  let last = 0;
  return (text, share) => {
    const now = performance.now();
    if (isJson || now - last < lineMs) return;
    last = now;
    process.stderr.write(`${percent(share)} ${text}\n`);
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Reads one of a few words. */
function word<const T extends string>(...names: readonly T[]): (value: string) => T {
  return (value) => oneOf(value, names);
}

function maxK(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > largestK)
    throw new InvalidArgumentError(`expected a whole number from 1 to ${largestK}.`);
  return number;
}
