/** `latent-workbench evaluate`: SAEBench's core figures of SAEs on tokens. */
import { totalmem } from "node:os";
import { UserError } from "../../base/errors.ts";
import { evaluateCore, type CoreResult } from "../../evals/core/evaluate.ts";
import { loadLm } from "../../lm/load.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { DeviceName } from "../../protocol/reader.ts";
import { type Device, openDevice } from "../../runtime/device.ts";
import { loadSae } from "../../sae/load.ts";
import { openSae } from "../../sae/sae.ts";
import { saeId } from "../../sae/sae-id.ts";
import { checkAgainstModel } from "../check-against-model.ts";
import { modelPath, saePath } from "../names.ts";
import { specialIds } from "../runs/lm-source.ts";
import { coreJson } from "./core-json.ts";
import { type PromptSource, readPrompts } from "./prompts.ts";

/** A call of `evaluate`. */
export interface EvaluateRequest {
  readonly lm: string;
  readonly saes: readonly string[];
  /** What an SAE's format does not store. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly prompts: PromptSource;
  readonly batch: number;
  readonly reconstructionBatches: number;
  /** Undefined: all prompts. */
  readonly varianceBatches: number | undefined;
  readonly ignoreSpecial: boolean;
  readonly directions: boolean;
  readonly device: "auto" | DeviceName;
  readonly threads: number;
  /** Name and version of the program. */
  readonly program: string;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** One SAE's figures: as data, and as SAEBench's JSON. */
export interface Evaluated {
  readonly sae: string;
  readonly result: CoreResult;
  /** `details`: with an entry for every latent. */
  readonly json: (options: { readonly details: boolean }) => Record<string, unknown>;
}

/** Evaluates SAEs one after the other on the same prompts, as far as their BOS policies and windows allow. */
export async function evaluate(request: EvaluateRequest): Promise<Evaluated[]> {
  const { device } = await openDevice({
    device: request.device,
    threads: request.threads,
    memoryBudget: totalmem() * 0.75,
  });
  try {
    const lm = await loadLm(modelPath(request.lm), device);
    const paths = request.saes.map(saePath);
    const all: Evaluated[] = [];
    for (const path of paths) {
      const name = saeId(
        path,
        paths.filter((it) => it !== path),
      );
      all.push(await evaluateOne(request, { path, name, lm, device }));
    }
    await lm.release();
    return all;
  } finally {
    await device.close();
  }
}

interface Place {
  readonly path: string;
  readonly name: string;
  readonly lm: LanguageModel;
  readonly device: Device;
}

async function evaluateOne(
  request: EvaluateRequest,
  { path, name, lm, device }: Place,
): Promise<Evaluated> {
  const { signal, batch } = request;
  const onProgress = (phase: string, share: number): void =>
    request.onProgress(`${name}: ${phase}, ${Math.round(share * 100)} %`);
  const description = await loadSae(path, { facts: request.facts, signal });
  const { config } = description;
  checkAgainstModel(config, name, lm);
  const { prompts, dataset } = await readPrompts(request.prompts, lm, config, {
    signal,
    onProgress,
  });
  checkLengths(prompts, lm);
  const sae = await openSae(description, device);
  try {
    const batches = Math.ceil(prompts.length / batch);
    const reconstructionBatches = Math.min(request.reconstructionBatches, batches);
    const varianceBatches = Math.min(request.varianceBatches ?? batches, batches);
    const result = await evaluateCore({
      lm,
      sae,
      description,
      device,
      prompts,
      batch,
      reconstructionBatches,
      varianceBatches,
      ignore: request.ignoreSpecial ? specialIds(lm) : new Set(),
      directions: request.directions,
      signal,
      onProgress,
    });
    const contextSize = Math.max(...prompts.map((ids) => ids.length));
    const settings = { ...request, lm: lm.id, sae: name, dataset, config, contextSize };
    const json = coreJson(result, { ...settings, reconstructionBatches, varianceBatches });
    return {
      sae: name,
      result,
      json: ({ details }) => (details ? json : { ...json, eval_result_details: [] }),
    };
  } finally {
    await sae.release();
  }
}

function checkLengths(prompts: readonly Int32Array[], { id, config }: LanguageModel): void {
  const longest = Math.max(...prompts.map((ids) => ids.length));
  if (longest <= config.n_ctx) return;
  const text = `a prompt has ${longest} tokens, but ${id} reads at most ${config.n_ctx}`;
  throw new UserError("prompt-too-long", text);
}
