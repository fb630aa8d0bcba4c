/** The verb `levels`: which of several decompositions helps for a labelled task. */
import { UserError } from "../base/errors.ts";
import { Cache } from "../files/cache.ts";
import { type Level, levelsOf, valueBits } from "./absorption/levels.ts";
import { wordPlan } from "./absorption/run.ts";
import { probeStage } from "./absorption/word-activations.ts";
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
          signal,
          step: <T>(job: () => Promise<T>) => job(),
          onProgress: () => {},
        };
        const metas = [];
        for (const path of options.meta as string[])
          metas.push(engine.loaded.sae((await engine.loadSae({ path })).id));
        const levels: Level[] = [];
        for (const [at, path] of (options.sae as string[]).entries()) {
          const sae = engine.loaded.sae((await engine.loadSae({ path, lm })).id);
          const wide = metas.find((meta) => meta.sae.config.d_in !== sae.sae.config.d_out);
          if (at === 0 && wide)
            throw new UserError(
              "different-widths",
              `${wide.id} reads rows of width ${wide.sae.config.d_in}, those of ${sae.id} are ${sae.sae.config.d_out} wide; name the SAE it was trained on first`,
            );
          const choice = heldOutChoice(options);
          const plan = await wordPlan({ lm: engine.loaded.lm(lm), sae }, choice);
          const stage = await probeStage(plan, new Cache(cacheFolder, "absorption-words"), work);
          levels.push(...(await levelsOf(stage, { sae, metas: at === 0 ? metas : [] }, work)));
        }
        const report = { schemaVersion: 1, task: options.labels, valueBits, levels };
        process.stdout.write(`${options.json ? JSON.stringify(report) : table(levels)}\n`);
      }),
    );
}

function table(levels: readonly Level[]): string {
  const rows = levels.map(({ sae, meta, latents, l0, fvu, bits, f1 }) =>
    [
      (meta === undefined ? sae : `${meta} of ${sae}`).padEnd(32),
      String(latents).padStart(8),
      l0.toFixed(1).padStart(7),
      fvu.toFixed(3).padStart(7),
      bits.toFixed(0).padStart(7),
      ...f1.map((it) => it.toFixed(3).padStart(7)),
    ].join(""),
  );
  return [
    `${"level".padEnd(32)} latents     L0    FVU   bits   F1@1   F1@2   F1@3   F1@4`,
    ...rows,
    adviceOf(levels),
  ].join("\n");
}

/** Which level to use: the best single latents; among those as good within a hundredth the shortest description. */
function adviceOf(levels: readonly Level[]): string {
  const best = Math.max(...levels.map(({ f1 }) => f1[0] ?? 0));
  const [chosen] = levels
    .filter(({ f1 }) => (f1[0] ?? 0) >= best - 0.01)
    .toSorted((a, b) => a.bits - b.bits);
  if (!chosen) return "";
  const name = chosen.meta === undefined ? chosen.sae : `${chosen.meta} of ${chosen.sae}`;
  return `for this task: ${name} (best single latents, F1 ${(chosen.f1[0] ?? 0).toFixed(3)}; of those as good within 0.01 the fewest bits)`;
}
