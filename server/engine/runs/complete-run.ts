/** A run's config with everything decided: what a start writes down, and what a resume compares. */
import { createHash } from "node:crypto";
import { hashFile, hashWeights } from "../../files/locations.ts";
import { parseTrainConfig, type TrainConfig } from "../../training/config.ts";
import { conflictingRun, modelNeeded, widthDiffers } from "./errors.ts";
import { splicePlace } from "./lm-downstream.ts";
import type { RunData } from "./open-data.ts";
import type { DataConfig, RunConfig, SaeRun } from "./run-config.ts";

/** An SAE of a run with its options complete. */
export interface CompleteSae extends Omit<SaeRun, "train"> {
  readonly hook: string;
  readonly train: TrainConfig;
}

/** A complete config. */
export interface CompleteRun extends Omit<RunConfig, "saes" | "data" | "steps"> {
  readonly data: DataConfig;
  readonly batch: number;
  readonly steps: number;
  readonly saes: readonly CompleteSae[];
  readonly environment: Environment;
  readonly inputs: Readonly<Record<string, string>>;
}

/** Under what the end of a run is the same to the last bit. */
export interface Environment {
  readonly program: string;
  readonly onnxruntime: string;
  readonly device: string;
  readonly threads: number;
  readonly platform: string;
  readonly cpu: string;
  readonly [key: string]: string | number;
}

/** Decides what the config left open, from the data and the machine. */
export function completeRun(
  config: RunConfig,
  data: RunData,
  environment: Environment,
  where: string,
): CompleteRun {
  const saes = config.saes.map((sae) => completeSae(sae, data, where));
  const batch = batchOf(config, data, where);
  const longest = Math.max(...saes.map(({ train }) => train.steps));
  const inits = saes.flatMap(({ name, init }) =>
    init === null
      ? []
      : [[`init:${name}`, init.kind === "file" ? hashFile(init.file) : hashWeights(init.sae)]],
  );
  const tasks = saes.flatMap(({ name, task }) =>
    task === null ? [] : [[`task:${name}`, hashFile(task)]],
  );
  const { device: _device, threads: _threads, ...rest } = config;
  return {
    ...rest,
    data: data.config,
    batch,
    steps: config.steps ?? longest,
    saes,
    device: environment.device as NonNullable<RunConfig["device"]>,
    threads: environment.threads,
    environment,
    inputs: {
      ...data.inputs,
      ...(Object.fromEntries([...inits, ...tasks]) as Record<string, string>),
    },
  };
}

/** A key of all that decides a run's numbers, apart from where files lie and how long it runs. */
export function runKey({ data, batch, buffer, saes, inputs }: CompleteRun): string {
  const { lm: _lm, files: _files, ...policy } = { lm: "", files: [], ...data };
  const {
    folder: _folder,
    file: _file,
    sae: _sae,
    ...rest
  } = {
    folder: "",
    file: "",
    sae: "",
    ...policy,
  };
  const trained = saes.map(({ name, hook, hookOut, train }) => ({ name, hook, hookOut, train }));
  const all = { data: rest, batch, buffer, saes: trained, inputs };
  return createHash("sha256")
    .update(JSON.stringify(sorted(all)))
    .digest("hex");
}

/** Batches that are shown to normalisations before the first step: the training's batches come after them. */
export function observedBatches(saes: readonly { readonly observations: number }[]): number {
  return Math.max(0, ...saes.map(({ observations }) => observations));
}

function completeSae(sae: SaeRun, data: RunData, where: string): CompleteSae {
  const { name: hook, width } = data.hook(sae.hook);
  const out = sae.hookOut === null ? undefined : data.hook(sae.hookOut);
  const place = `${where}, ${sae.name}`;
  const metadata = {
    ...data.metadata(hook),
    ...(out === undefined ? {} : { hook_name_out: out.name }),
    ...(sae.train["metadata"] as Record<string, unknown> | undefined),
  };
  const value = {
    ...sae.train,
    d_in: sae.train["d_in"] ?? width,
    ...(out === undefined ? {} : { d_out: sae.train["d_out"] ?? out.width }),
    metadata,
  };
  const train = parseTrainConfig(value, place);
  if (train.d_in !== width) {
    throw widthDiffers({ sae: place, key: "d_in", found: train.d_in, hook, width });
  }
  if (out && train.d_out !== out.width) {
    const found = train.d_out ?? 0;
    throw widthDiffers({ sae: place, key: "d_out", found, hook: out.name, width: out.width });
  }
  if (!out && train.d_out !== null) {
    throw conflictingRun(
      place,
      `"d_out" is ${train.d_out}, so it is a transcoder; name the hook point that it predicts with "hookOut" beside "train"`,
    );
  }
  const complete = { ...sae, hook, hookOut: out?.name ?? null, train };
  checkLosses(complete, data, place);
  return complete;
}

/** What losses behind the SAE need is there. */
function checkLosses(
  { hook, hookOut, task, train }: CompleteSae,
  { model, config }: RunData,
  place: string,
): void {
  const { endToEnd, attribution } = train;
  if ((attribution === null) !== (task === null)) {
    throw conflictingRun(
      place,
      `"train.attribution" and "task", the file of its prompts, belong together; give both or neither`,
    );
  }
  const option =
    endToEnd === null ? (attribution === null ? undefined : "attribution") : "endToEnd";
  if (option !== undefined && !model) throw modelNeeded(place, option, config.kind);
  if (endToEnd !== null && model) splicePlace(model.lm.hook(hookOut ?? hook));
}

function batchOf(config: RunConfig, data: RunData, where: string): number {
  const given = config.batch;
  const fixed = data.batchRows;
  if (fixed !== undefined && given !== null && given !== fixed) {
    throw conflictingRun(where, `"batch" is ${given}, but the file's batches have ${fixed} rows`);
  }
  return fixed ?? given ?? defaultBatch;
}

/** SAELens's and dictionary_learning's examples use 2048 to 4096. */
const defaultBatch = 2048;

/** The same value with keys in order, so that equal configs have equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, it]) => [key, sorted(it)]));
}
