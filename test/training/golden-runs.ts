/** The golden training runs: configs, batches, losses and weights of SAELens and dictionary_learning. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import type { TrainConfig } from "../../server/training/config.ts";
import { importTrainConfig } from "../../server/training/import-config.ts";
import { importParameters } from "../../server/training/import-parameters.ts";
import { repoRoot } from "../parts.ts";

const folder = join(repoRoot, "test/golden/training");
/** Options that those have not; test/python/training_goldens.py. */
const moreFolder = join(repoRoot, "test/golden/training-more");

/** What the golden's log says of a step. */
export interface GoldenStep {
  readonly lr: number;
  readonly loss: number;
  readonly losses?: Readonly<Record<string, number>>;
  readonly dead_before?: number;
  readonly dead_features?: number;
  readonly mean_l0?: number;
  readonly topk_threshold?: number;
  readonly threshold?: number;
  readonly pre_norm_auxk_loss?: number;
  readonly p?: number;
  readonly next_p?: number | null;
  readonly sparsity_coeff?: number;
  readonly lp_loss?: number;
  readonly scaled_lp_loss?: number;
}

/** One golden run. */
export interface GoldenRun {
  readonly name: string;
  readonly config: TrainConfig;
  readonly log: readonly GoldenStep[];
  /** Tensors under a prefix, e.g. "init", by their own names. */
  tensors(prefix: string): Map<string, Tensor>;
  /** The same by our names, in our orientation. */
  parameters(prefix: string): ReadonlyMap<string, Tensor<"float32">>;
  /** Initial weights and statistics, as `openTrainer` takes them. */
  readonly init: ReadonlyMap<string, Tensor>;
}

/**
 * Arguments that the library's own description of a config leaves out (JumpReluTrainer: the learning rate's schedule,
 * GatedSAETrainer: the number of steps, PAnnealTrainer: anneal_end); the goldens' logs show them.
 */
const leftOut: Readonly<Record<string, object>> = {
  "dictionary-learning/jumprelu": { warmup_steps: 3, decay_start: 8 },
  "dictionary-learning/gated": { steps: 20 },
  "dictionary-learning/p_anneal_Lp": { anneal_end: 9 },
};

function namesIn(path: string): string[] {
  return readdirSync(path)
    .filter((file) => file.endsWith(".safetensors") && file !== "batches.safetensors")
    .map((file) => file.replace(".safetensors", "").replace("__", "/"))
    .sort();
}

/** Names of the shared runs. */
export const sharedNames: readonly string[] = namesIn(folder);

/** Names of all runs. */
export const goldenNames: readonly string[] = [...sharedNames, ...namesIn(moreFolder)];

/** Ten batches of 64 rows. */
export function goldenBatches(): Tensor<"float32">[] {
  const all = readSafetensors(readFileSync(join(folder, "batches.safetensors"))).get("batches")!;
  const [steps = 0, rows = 0, d = 0] = all.dims;
  const data = all.data as Float32Array;
  return Array.from({ length: steps }, (_, at) =>
    tensor("float32", [rows, d], data.slice(at * rows * d, (at + 1) * rows * d)),
  );
}

/** The library's config of a run, with what it left out. */
export function goldenHyper(name: string): Record<string, unknown> {
  const { hyper } = readJson(name) as { hyper: Record<string, unknown> };
  return { ...hyper, ...leftOut[name] };
}

/** Reads a run. */
export function goldenRun(name: string): GoldenRun {
  const { log } = readJson(name) as { log: GoldenStep[] };
  const file = readSafetensors(readFileSync(`${pathOf(name)}.safetensors`));
  const tensors = (prefix: string) =>
    new Map(
      [...file]
        .filter(([key]) => key.startsWith(`${prefix}/`))
        .map(([key, value]) => [key.slice(prefix.length + 1), value]),
    );
  const init = tensors("init");
  for (const [key, value] of tensors("whitening")) init.set(`whitening/${key}`, value);
  return {
    name,
    config: importTrainConfig(goldenHyper(name), name),
    log,
    tensors,
    parameters: (prefix) => importParameters(tensors(prefix)).parameters,
    init,
  };
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(`${pathOf(name)}.json`, "utf8"));
}

function pathOf(name: string): string {
  const file = name.replace("/", "__");
  return join(sharedNames.includes(name) ? folder : moreFolder, file);
}

/** Learning rates of torch's schedulers, step by step. */
export function goldenSchedules(): {
  readonly lr: number;
  readonly steps: number;
  readonly lrSchedule: object;
  readonly rates: readonly number[];
}[] {
  return JSON.parse(readFileSync(join(moreFolder, "schedules.json"), "utf8"));
}
