/** The verb `levels`: which of several decompositions helps for a labelled task. */
import { type Level, levelName, levelsAdvice } from "../protocol/decompositions.ts";
import { compareLevels } from "./absorption/decompositions.ts";
import { type AbsorptionVerb, heldOutChoice } from "./command-line-absorption.ts";
import { collect, count } from "./command-line-options.ts";

/** Adds the verb. */
export function addLevelsVerb(around: AbsorptionVerb): void {
  const { verb, signal, cacheFolder } = around;
  verb("levels", "which decomposition helps: SAEs and meta-SAEs on one labelled task")
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", around.bundledLm)
    .requiredOption("--sae <path>", "SAE; may be given several times", collect, [])
    .option("--meta <path>", "meta-SAE, tried on the first SAE; may be repeated", collect, [])
    .option("--labels <task>", "first-letter, first-letter:paper, or a task file", "first-letter")
    .option("--words-per-label <n>", "at most so many words of a label", count)
    .option("--seed <n>", "seed of splits and prompts", Number, 0)
    .action((options) =>
      around.withEngine(options, async (engine) => {
        const lm = (await engine.loadLm({ path: options.lm })).id;
        const work = {
          cacheFolder,
          signal,
          step: <T>(job: () => Promise<T>) => job(),
          onProgress: () => {},
        };
        const metas = [];
        for (const path of options.meta as string[])
          metas.push(engine.loaded.sae((await engine.loadSae({ path })).id));
        const saes = [];
        for (const [at, path] of (options.sae as string[]).entries()) {
          const { id } = await engine.loadSae({ path, lm });
          saes.push({ sae: engine.loaded.sae(id), metas: at === 0 ? metas : [] });
        }
        const parts = { lm: engine.loaded.lm(lm), saes };
        const report = await compareLevels(parts, heldOutChoice(options), work);
        process.stdout.write(`${options.json ? JSON.stringify(report) : table(report.levels)}\n`);
      }),
    );
}

function table(levels: readonly Level[]): string {
  const rows = levels.map((level) => {
    const { latents, l0, fvu, bits, f1 } = level;
    return [
      levelName(level).padEnd(32),
      String(latents).padStart(8),
      l0.toFixed(1).padStart(7),
      fvu.toFixed(3).padStart(7),
      bits.toFixed(0).padStart(7),
      ...f1.map((it) => it.toFixed(3).padStart(7)),
    ].join("");
  });
  return [
    `${"level".padEnd(32)} latents     L0    FVU   bits   F1@1   F1@2   F1@3   F1@4`,
    ...rows,
    levelsAdvice(levels),
  ].join("\n");
}
