/** Levels and repair over loaded models: one way for the reader and the command line. */
import { UserError } from "../../base/errors.ts";
import { Cache } from "../../files/cache.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type {
  DecompositionReaderMethods,
  DecompositionTask,
  LevelsReport,
  RepairReport,
} from "../../protocol/decompositions.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import type { DeviceLock } from "../device-lock.ts";
import type { Loaded, LoadedSae } from "../loaded.ts";
import { levelsOf, valueBits } from "./levels.ts";
import { liveChoice } from "./live-tasks.ts";
import { repairAbsorption } from "./repair.ts";
import { type AbsorptionChoice, measure, wordPlan } from "./run.ts";
import { probeStage } from "./word-activations.ts";
import type { Work } from "./word-plan.ts";

type Kept = Work & { readonly cacheFolder: string };

/** Compares SAEs, each with meta-SAEs, on one task. */
export async function compareLevels(
  {
    lm,
    saes,
  }: {
    readonly lm: LanguageModel;
    readonly saes: readonly { readonly sae: LoadedSae; readonly metas: readonly LoadedSae[] }[];
  },
  choice: AbsorptionChoice,
  { cacheFolder, ...work }: Kept,
): Promise<LevelsReport> {
  for (const { sae, metas } of saes)
    for (const meta of metas)
      if (meta.sae.config.d_in !== sae.sae.config.d_out)
        throw new UserError(
          "different-widths",
          `${meta.id} reads rows of width ${meta.sae.config.d_in}, those of ${sae.id} are ${sae.sae.config.d_out} wide; name the SAE it was trained on first`,
        );
  const levels: LevelsReport["levels"][number][] = [];
  const cache = new Cache(cacheFolder, "absorption-words");
  for (const [at, { sae, metas }] of saes.entries()) {
    const part = (text: string, share: number): void =>
      work.onProgress(`${sae.id}: ${text}`, (at + share) / saes.length);
    const plan = await wordPlan({ lm, sae }, choice);
    const stage = await probeStage(plan, cache, {
      ...work,
      onProgress: (text, share) => part(text, share * 0.6),
    });
    const own = {
      ...work,
      onProgress: (text: string, share: number) => part(text, 0.6 + share * 0.4),
    };
    levels.push(...(await levelsOf(stage, { sae, metas }, own)));
  }
  return { schemaVersion: 1, task: choice.labels, valueBits, levels };
}

/** Measures an SAE's absorption and reads it again through a meta-SAE. */
export async function repairReport(
  { lm, sae, meta }: { lm: LanguageModel; sae: LoadedSae; meta: LoadedSae },
  choice: AbsorptionChoice,
  work: Kept,
): Promise<RepairReport> {
  const measured = await measure({ lm, sae }, choice, {
    ...work,
    onProgress: (text, share) => work.onProgress(text, share * 0.8),
  });
  work.onProgress(`${sae.id} through ${meta.id}`, 0.8);
  const labels = await repairAbsorption(measured, { sae, meta }, work);
  return { schemaVersion: 1, sae: sae.id, meta: meta.id, task: choice.labels, labels };
}

/** What the methods stand on. */
interface DecompositionParts {
  readonly loaded: Loaded;
  readonly lock: DeviceLock;
  readonly cacheFolder: string;
  readonly sampleText: string;
}

/** The reader's methods; words and probes are those of the absorption page. */
export class Decompositions implements Handlers<DecompositionReaderMethods> {
  readonly #parts: DecompositionParts;
  #progress = { share: 0, text: "" };

  constructor(parts: DecompositionParts) {
    this.#parts = parts;
  }

  levels(
    { lm, saes, ...task }: Parameters<DecompositionReaderMethods["levels"]>[0],
    signal?: AbortSignal,
  ): Promise<LevelsReport> {
    const { loaded } = this.#parts;
    const parts = {
      lm: loaded.lm(lm),
      saes: saes.map(({ sae, metas }) => ({
        sae: loaded.sae(sae),
        metas: metas.map((it) => loaded.sae(it)),
      })),
    };
    return compareLevels(parts, this.#choice(task), this.#work(signal));
  }

  repair(
    { lm, sae, meta, ...task }: Parameters<DecompositionReaderMethods["repair"]>[0],
    signal?: AbortSignal,
  ): Promise<RepairReport> {
    const { loaded } = this.#parts;
    const parts = { lm: loaded.lm(lm), sae: loaded.sae(sae), meta: loaded.sae(meta) };
    return repairReport(parts, this.#choice(task), this.#work(signal));
  }

  decompositionProgress(): { share: number; text: string } {
    return this.#progress;
  }

  #choice(task: DecompositionTask): AbsorptionChoice {
    return liveChoice(task, this.#parts.sampleText);
  }

  #work(signal: AbortSignal | undefined): Kept {
    const { lock, cacheFolder } = this.#parts;
    this.#progress = { share: 0, text: "beginning" };
    return {
      cacheFolder,
      signal,
      step: (job) => lock.run(job, { background: true, signal }),
      onProgress: (text, share) => (this.#progress = { share, text }),
    };
  }
}
