/** The verb `repair`: whether meta-latents bring back what absorbing latents hide. */
import { type RepairReport, repairSentence } from "../protocol/decompositions.ts";
import { repairReport } from "./absorption/decompositions.ts";
import { type AbsorptionVerb, heldOutChoice } from "./command-line-absorption.ts";
import { count } from "./command-line-options.ts";

/** Adds the verb. */
export function addRepairVerb(around: AbsorptionVerb): void {
  const { verb, signal, cacheFolder } = around;
  verb(
    "repair",
    "read absorbed features through meta-latents; precision and recall before and after",
  )
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", around.bundledLm)
    .requiredOption("--sae <path>", "SAE whose absorption is to be repaired")
    .requiredOption("--meta <path>", "meta-SAE that takes its decoder rows apart")
    .option("--labels <task>", "first-letter, first-letter:paper, or a task file", "first-letter")
    .option("--words-per-label <n>", "at most so many words of a label", count)
    .option("--seed <n>", "seed of splits, prompts, probes and shuffles", Number, 0)
    .action((options) =>
      around.withEngine(options, async (engine) => {
        const lm = (await engine.loadLm({ path: options.lm })).id;
        const sae = engine.loaded.sae((await engine.loadSae({ path: options.sae, lm })).id);
        const meta = engine.loaded.sae((await engine.loadSae({ path: options.meta })).id);
        const work = {
          cacheFolder,
          signal,
          step: <T>(job: () => Promise<T>) => job(),
          onProgress: () => {},
        };
        const parts = { lm: engine.loaded.lm(lm), sae, meta };
        const report = await repairReport(parts, heldOutChoice(options), work);
        process.stdout.write(`${options.json ? JSON.stringify(report) : table(report)}\n`);
      }),
    );
}

function table(report: RepairReport): string {
  const shown = report.labels.filter(({ parts }) => parts.some(({ part }) => part !== undefined));
  const rows = shown.map((it) => {
    const via = it.parts.flatMap(({ absorber, part }) =>
      part === undefined ? [] : [`#${absorber}→meta #${part}`],
    );
    const figures = [it.before, it.after, it.control].map(
      ({ precision, recall }) => `${percent(precision)} ${percent(recall)}`,
    );
    return `${it.label.padEnd(12)} ${figures.join("   ")}   ${via.slice(0, 3).join(", ")}${via.length > 3 ? ` and ${via.length - 3} more` : ""}`;
  });
  const head = `${report.sae} read through ${report.meta}; labels with absorbers: ${shown.length} of ${report.labels.length}`;
  return [
    head,
    "label         precision and recall: before, repaired, by shuffled breakdowns",
    ...rows,
    repairSentence(report.labels),
  ].join("\n");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1).padStart(5)} %`;
}
