/** `import-run`: a training config of SAELens or dictionary_learning as a run file of ours. */
import { basename } from "node:path";
import { readJson, writeFileAtomic } from "../../files/disk.ts";
import { importTrainConfig } from "../../training/import-config.ts";

/** What was written. */
export interface ImportedRun {
  readonly output: string;
  readonly architecture: string;
  readonly steps: number;
  /** Keys that the user must add before the run can start without `--batches`. */
  readonly missing: readonly string[];
}

/** Translates a config file. The data that the other tool read are its own affair: `data` is left to the user. */
export function importRun(config: string, output: string): ImportedRun {
  const value = readJson(config);
  const train = importTrainConfig(value, config);
  const hook = train.metadata["hook_name"];
  const batch = batchOf(value);
  const run = {
    name: basename(output).replace(/(\.run)?\.jsonc?$/, ""),
    ...(batch === undefined ? {} : { batch }),
    saes: [
      {
        name: train.architecture,
        ...(typeof hook === "string" ? { hook } : {}),
        train,
      },
    ],
  };
  const text = `// From ${basename(config)}. Add "data" to read a corpus, e.g. {"kind": "files", "lm": "…", "files": ["…"]}.\n`;
  writeFileAtomic(output, `${text}${JSON.stringify(run, undefined, 2)}\n`);
  return { output, architecture: train.architecture, steps: train.steps, missing: ["data"] };
}

/** SAELens's `train_batch_size_samples`, wherever the file has it; dictionary_learning keeps it outside its configs. */
function batchOf(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = value as Record<string, unknown>;
  const own = entries["train_batch_size_samples"];
  if (typeof own === "number") return own;
  return batchOf(entries["hyper"] ?? entries["trainer_cfg"]);
}
