/** Absorption of several SAEs on one task, one after the other; what is done is kept and not done again. */
import { createHash } from "node:crypto";
import { isAbsolute, join, dirname, basename } from "node:path";
import {
  builtInTask,
  firstLetter,
  type LabelledTask,
  parseTask,
  publishedPrompts,
} from "../../analysis/tasks/task.ts";
import type { Selection } from "../../analysis/probes/k-sparse.ts";
import { UserError } from "../../base/errors.ts";
import { Cache } from "../../files/cache.ts";
import { exists, readText } from "../../files/disk.ts";
import { hashWeights } from "../../files/locations.ts";
import type { AbsorptionReport, AbsorptionSetting } from "../../protocol/absorption.ts";
import type { Loaded, LoadedSae } from "../loaded.ts";
import { measureSae } from "./measure-sae.ts";
import { planKey, type ProbeStage, probeStage } from "./word-activations.ts";
import type { ProbeKind, WordPlan, Work } from "./word-plan.ts";

/** Changes whenever a report that is kept lacks something. */
const reportVersion = 2;

/** What a user chooses. */
export interface AbsorptionChoice {
  /** `first-letter`, `first-letter:paper`, or a task file. */
  readonly labels: string;
  readonly setting: AbsorptionSetting;
  /** Text files for the setting "text". */
  readonly texts: readonly string[];
  readonly perLabel?: number | undefined;
  readonly seed: number;
  /** Words that share one draw of examples; 1 without it. */
  readonly wordsPerDraw?: number;
  readonly probe: ProbeKind;
  readonly judge: "held-out" | "all";
  readonly selection: Selection;
  readonly maxK: number;
  /** Words of a label that the paper's causal rule judges besides; without it none are. */
  readonly paperWords?: number;
}

/** A measured SAE with what it was measured by. */
export interface MeasuredSae {
  readonly plan: WordPlan;
  readonly stage: ProbeStage;
  readonly report: AbsorptionReport;
}

/** Reads the task that `--labels` names. */
export async function readTask(labels: string): Promise<LabelledTask> {
  if (labels === firstLetter) return builtInTask("sae-bench");
  const [name, prompt = ""] = labels.split(":");
  if (name === firstLetter && prompt in publishedPrompts)
    return builtInTask(prompt as keyof typeof publishedPrompts);
  if (!exists(labels))
    throw new UserError(
      "not-found",
      `no labelled task ${labels}; expected first-letter, first-letter:paper or a file such as labels/animals.jsonc`,
    );
  const folder = dirname(labels);
  return parseTask(readText(labels), basename(labels).replace(/\.jsonc?$/, ""), {
    readFile: (path) => readText(isAbsolute(path) ? path : join(folder, path)),
  });
}

/** How one SAE is read for a choice. */
export async function wordPlan(
  { lm, sae }: { lm: ReturnType<Loaded["lm"]>; sae: LoadedSae },
  choice: AbsorptionChoice,
): Promise<WordPlan> {
  if (sae.info.metaOf)
    throw new UserError(
      "meta-sae-reads-no-text",
      `${sae.id} is a meta-SAE: absorption is measured on ${sae.info.metaOf}`,
    );
  return {
    lm,
    task: await readTask(choice.labels),
    hook: sae.hook,
    prependBos: sae.info.prependBos,
    setting: choice.setting,
    texts: choice.setting === "text" ? choice.texts.map(readText) : [],
    perLabel: choice.perLabel,
    seed: choice.seed,
    wordsPerDraw: choice.wordsPerDraw ?? 1,
    probe: choice.probe,
    judge: choice.judge,
    selection: choice.selection,
    maxK: choice.maxK,
  };
}

/** Measures one SAE, or recalls what was measured before. */
export async function measure(
  parts: { lm: ReturnType<Loaded["lm"]>; sae: LoadedSae },
  choice: AbsorptionChoice,
  { cacheFolder, ...work }: Work & { cacheFolder: string },
): Promise<MeasuredSae> {
  const plan = await wordPlan(parts, choice);
  const rows = new Cache(cacheFolder, "absorption-words");
  const reports = new Cache(cacheFolder, "absorption");
  const key = createHash("sha256")
    .update(
      [
        reportVersion,
        planKey(plan),
        plan.selection,
        plan.maxK,
        hashWeights(parts.sae.info.path),
      ].join(" "),
    )
    .digest("hex");
  const stage = await probeStage(plan, rows, {
    ...work,
    onProgress: (text, share) => work.onProgress(text, share * 0.8),
  });
  const kept = reports.readJson(key) as AbsorptionReport | undefined;
  if (kept) return { plan, stage, report: { ...kept, sae: parts.sae.id, lm: plan.lm.id } };
  const report = await measureSae(plan, stage, parts.sae, {
    ...work,
    onProgress: (text, share) => work.onProgress(text, 0.8 + share * 0.2),
  });
  reports.writeJson(key, report);
  return { plan, stage, report };
}
