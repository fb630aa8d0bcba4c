/** Prepared tasks as files: what hovers judge by, kept by the hashes of model, SAE and task. */
import { latentEncoders, type LatentEncoder } from "../../analysis/absorption/encoders.ts";
import type { PreparedLabel, PreparedTask } from "../../analysis/absorption/live.ts";
import { wordsOf } from "../../analysis/tasks/word-prompts.ts";
import {
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "../../encoding/safetensors.ts";
import type { Cache } from "../../files/cache.ts";
import { hashWeights } from "../../files/locations.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import { directionCosines } from "./measure-sae.ts";
import type { MeasuredSae } from "./run.ts";
import type { Work } from "./word-plan.ts";

/** Latents whose encoders are kept. */
type Encoders = PreparedTask["encoders"];

/** What a file says beside its tensors. */
interface Facts {
  readonly version: 1;
  readonly task: string;
  readonly setting: "prompts" | "text";
  readonly kind: "multinomial" | "one-vs-rest";
  readonly labels: readonly (PreparedLabel | null)[];
  readonly encoders: readonly { latent: number; bias: number; threshold?: number }[];
}

/** Names of the files of an SAE at a model. */
export function preparedKey(lm: LanguageModel, sae: LoadedSae): string {
  return `${hashWeights(lm.path).slice(0, 24)}-${hashWeights(sae.info.path).slice(0, 24)}`;
}

/** Makes a task ready from what was measured. */
export async function prepareTask(
  { plan, stage, report }: MeasuredSae,
  { sae }: LoadedSae,
  work: Work,
): Promise<PreparedTask> {
  const { task, lm } = plan;
  const byName = new Map(report.labels.map((it) => [it.label, it]));
  const labels = task.labels.map((label) => {
    const found = byName.get(label);
    return (
      found && {
        label,
        probeF1: found.probe.f1,
        mainF1: found.mainProbe.f1,
        main: found.main.map((it) => it.latent),
      }
    );
  });
  const main = [...new Set(labels.flatMap((it) => it?.main ?? []))];
  const encoders = latentEncoders(sae, main) ?? [];
  const { tokenizer } = lm;
  const words = wordsOf(task, tokenizer, { seed: plan.seed });
  return {
    task: task.name,
    setting: plan.setting,
    probe: stage.probe,
    labels,
    labelsOfToken: new Map(words.map((word) => [word.id, word.labels])),
    suffix: tokenizer.encode(task.prompt.template.replace("{word}", "")).ids,
    cosines: await directionCosines(sae, stage, work.step),
    encoders: new Map(encoders.map((it) => [it.latent, it])),
  };
}

/** Keeps a task; it is found again when the model and the SAE are loaded. */
export function storePrepared(cache: Cache, key: string, prepared: PreparedTask): void {
  const { probe, cosines, encoders, labelsOfToken, suffix } = prepared;
  const pairs = [...labelsOfToken].flatMap(([id, labels]) => labels.map((label) => [id, label]));
  const kept = [...encoders.values()];
  const d_sae = cosines[0]?.length ?? 0;
  const all = new Float32Array(cosines.length * d_sae);
  for (const [label, row] of cosines.entries()) all.set(row, label * d_sae);
  const directions = new Float32Array(kept.length * probe.d);
  for (const [at, { direction }] of kept.entries()) directions.set(direction, at * probe.d);
  const facts: Facts = {
    version: 1,
    task: prepared.task,
    setting: prepared.setting,
    kind: probe.kind,
    labels: prepared.labels.map((it) => it ?? null),
    encoders: kept.map(({ latent, bias, threshold }) => ({
      latent,
      bias,
      ...(threshold === undefined ? {} : { threshold }),
    })),
  };
  const tensors = new Map<string, Tensor>([
    ["probe.weights", tensor("float32", [probe.nLabels, probe.d], probe.weights)],
    ["probe.biases", tensor("float32", [probe.nLabels], probe.biases)],
    ["cosines", tensor("float32", [cosines.length, d_sae], all)],
    ["encoders", tensor("float32", [kept.length, probe.d], directions)],
    ["words", tensor("int32", [pairs.length, 2], Int32Array.from(pairs.flat()))],
    ["suffix", tensor("int32", [suffix.length], suffix)],
  ]);
  const names = preparedNames(cache, key);
  const name = `${prepared.setting}-${prepared.task}`;
  cache.writeBytes(fileKey(key, name), writeSafetensors(tensors, { facts: JSON.stringify(facts) }));
  cache.writeJson(key, [...new Set([...names, name])]);
}

/** The tasks that were prepared for a model and an SAE. */
export function loadPrepared(cache: Cache, key: string): PreparedTask[] {
  return preparedNames(cache, key).flatMap((name) => {
    const bytes = cache.readBytes(fileKey(key, name));
    return bytes ? [parsePrepared(bytes)] : [];
  });
}

function preparedNames(cache: Cache, key: string): readonly string[] {
  const names = cache.readJson(key);
  return Array.isArray(names) ? (names as string[]) : [];
}

function fileKey(key: string, name: string): string {
  return `${key}-${name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-")}`;
}

function parsePrepared(bytes: Uint8Array): PreparedTask {
  const { metadata } = readSafetensorsHeader(bytes);
  const facts = JSON.parse(metadata["facts"] ?? "{}") as Facts;
  const tensors = readSafetensors(bytes);
  const floats = (name: string): Float32Array => tensors.get(name)!.data as Float32Array;
  const integers = (name: string): Int32Array => tensors.get(name)!.data as Int32Array;
  const [nLabels = 0, d = 0] = tensors.get("probe.weights")!.dims;
  const [, d_sae = 0] = tensors.get("cosines")!.dims;
  const words = integers("words");
  const labelsOfToken = new Map<number, number[]>();
  for (let at = 0; at < words.length; at += 2)
    labelsOfToken.set(words[at]!, [...(labelsOfToken.get(words[at]!) ?? []), words[at + 1]!]);
  const encoders: Encoders = new Map(
    facts.encoders.map((it, at): [number, LatentEncoder] => [
      it.latent,
      { ...it, direction: floats("encoders").subarray(at * d, (at + 1) * d) },
    ]),
  );
  return {
    task: facts.task,
    setting: facts.setting,
    probe: {
      kind: facts.kind,
      nLabels,
      d,
      weights: floats("probe.weights"),
      biases: floats("probe.biases"),
    },
    labels: facts.labels.map((it) => it ?? undefined),
    labelsOfToken,
    suffix: integers("suffix"),
    cosines: Array.from({ length: nLabels }, (_, label) =>
      floats("cosines").subarray(label * d_sae, (label + 1) * d_sae),
    ),
    encoders,
  };
}
