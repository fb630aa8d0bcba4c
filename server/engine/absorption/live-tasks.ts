/** The tasks that readings are judged by, for each model and SAE; prepared on request, recalled when they are loaded again. */
import { judgeTokens, type PreparedTask } from "../../analysis/absorption/live.ts";
import { defaultMaxK } from "../../analysis/probes/k-sparse.ts";
import { Cache } from "../../files/cache.ts";
import type { LmGradients } from "../../lm/gradients.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type {
  AbsorptionReaderMethods,
  AbsorptionSetting,
  PreparedAbsorption,
  TokenAbsorption,
} from "../../protocol/absorption.ts";
import type { CausalReport } from "../../protocol/causal-absorption.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import type { LoadedSae } from "../loaded.ts";
import { corpusCounts } from "./corpus-counts.ts";
import { loadPrepared, preparedKey, prepareTask, storePrepared } from "./prepared.ts";
import { measureCausally } from "./causal.ts";
import { type AbsorptionChoice, measure, type MeasuredSae } from "./run.ts";
import { sweepRow } from "./sweep-row.ts";
import type { Work } from "./word-plan.ts";

/** Words of a label that are read: enough for main latents and a probe, in a time that a user waits for. */
const wordsPerLabel = 400;
/** Words that share examples. */
const wordsPerDraw = 8;

/** Share of a causal judgement's time that measuring the SAE before it may take. */
const measuringShare = 0.3;

/** How a task is read for hovers and pages, so that all show the same figures. */
export function liveChoice(
  params: {
    readonly labels: string;
    readonly setting: AbsorptionSetting;
    readonly texts?: readonly string[];
    readonly perLabel?: number;
  },
  sampleText: string,
): AbsorptionChoice {
  return {
    labels: params.labels,
    setting: params.setting,
    texts: params.texts ?? [sampleText],
    perLabel: params.perLabel ?? wordsPerLabel,
    seed: 0,
    wordsPerDraw,
    probe: "logistic",
    judge: "held-out",
    selection: "mean-difference",
    maxK: defaultMaxK,
  };
}

/** Prepares tasks and judges by them. */
export class LiveTasks {
  readonly #settings: { readonly cacheFolder: string; readonly sampleText: string };
  readonly #cache: Cache;
  readonly #tasks = new WeakMap<LoadedSae, { lm: LanguageModel; tasks: PreparedTask[] }>();
  #progress = { share: 0, text: "" };

  constructor(settings: { readonly cacheFolder: string; readonly sampleText: string }) {
    this.#settings = settings;
    this.#cache = new Cache(settings.cacheFolder, "absorption-live");
  }

  progress(): { share: number; text: string } {
    return this.#progress;
  }

  /** Prepares a task. `step` runs device work in its turn. */
  async prepare(
    parts: { lm: LanguageModel; sae: LoadedSae },
    params: Parameters<AbsorptionReaderMethods["prepareAbsorption"]>[0],
    { step, signal }: Pick<Work, "step" | "signal">,
  ): Promise<PreparedAbsorption> {
    const work = this.#work({ step, signal }, 0, 1);
    const measured = await this.#measure(parts, params, work);
    const prepared = await prepareTask(measured, parts.sae, work);
    const corpus = await corpusCounts(parts.lm, [this.#settings.sampleText], {
      ...work,
      cache: this.#cache,
    });
    storePrepared(this.#cache, preparedKey(parts.lm, parts.sae), prepared);
    this.#tasks.delete(parts.sae);
    return {
      task: prepared.task,
      setting: prepared.setting,
      sae: parts.sae.id,
      report: measured.report,
      row: sweepRow(measured.report, parts.sae.info, corpus),
      corpus: { files: corpus.files, tokens: corpus.tokens },
    };
  }

  /** Judges an SAE by the paper's causal rule on the words by which a task is prepared in its prompts. */
  async judgeCausally(
    { lm, sae, gradients }: { lm: LanguageModel; sae: LoadedSae; gradients: LmGradients },
    { labels, words }: { readonly labels: string; readonly words: number },
    { step, signal, pause }: Pick<Work, "step" | "signal"> & { pause: () => Promise<void> },
  ): Promise<CausalReport> {
    const asked = { labels, setting: "prompts" } as const;
    const first = this.#work({ step, signal }, 0, measuringShare);
    const measured = await this.#measure({ lm, sae }, asked, first);
    const { cacheFolder } = this.#settings;
    const rest = this.#work({ step, signal }, measuringShare, 1);
    return measureCausally(measured, { sae, gradients, words, cacheFolder, pause }, rest);
  }

  /** Work that tells how far it is: its own shares are those between two of the whole. */
  #work({ step, signal }: Pick<Work, "step" | "signal">, from: number, to: number): Work {
    this.#progress = { share: from, text: "beginning" };
    const onProgress: Work["onProgress"] = (text, share) =>
      (this.#progress = { share: from + share * (to - from), text });
    return { step, signal, onProgress };
  }

  #measure(
    parts: { lm: LanguageModel; sae: LoadedSae },
    params: Omit<Parameters<AbsorptionReaderMethods["prepareAbsorption"]>[0], "lm" | "sae">,
    work: Work,
  ): Promise<MeasuredSae> {
    const { cacheFolder, sampleText } = this.#settings;
    return measure(parts, liveChoice(params, sampleText), { ...work, cacheFolder });
  }

  /** Verdicts at the rows of one window, from `from` on; nothing where no task was prepared. */
  judge(
    { lm, sae }: { lm: LanguageModel; sae: LoadedSae },
    rows: { ids: Int32Array; x: Float32Array; acts: SparseActs; from: number },
  ): TokenAbsorption[] {
    const tasks = this.#tasksOf(lm, sae);
    if (tasks.length === 0) return [];
    const { offsets, latents, acts } = rows.acts;
    return judgeTokens(
      tasks,
      {
        ids: rows.ids,
        texts: Array.from(rows.ids, (id) => lm.tokenizer.tokenText(id)),
        x: rows.x,
        ...(sae.hookOut ? {} : { decoderRows: (wanted) => sae.sae.decoderRows(wanted) }),
        active: (token) => ({
          latents: latents.subarray(offsets[token], offsets[token + 1]),
          acts: acts.subarray(offsets[token], offsets[token + 1]),
        }),
      },
      rows.from,
    );
  }

  #tasksOf(lm: LanguageModel, sae: LoadedSae): readonly PreparedTask[] {
    const known = this.#tasks.get(sae);
    if (known?.lm === lm) return known.tasks;
    const tasks = loadPrepared(this.#cache, preparedKey(lm, sae));
    this.#tasks.set(sae, { lm, tasks });
    return tasks;
  }
}
