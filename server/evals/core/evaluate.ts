/** SAEBench's core evaluation of one SAE in one language model. */
import type { BlockOutput } from "../../lm/blocks.ts";
import { parseHookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { PositionInputs } from "../../lm/position-inputs.ts";
import type { Floats } from "../../lm/precision.ts";
import { runBlocks } from "../../lm/run-blocks.ts";
import type { Device } from "../../runtime/device.ts";
import type { SaeDescription } from "../../sae/load.ts";
import type { Sae } from "../../sae/sae.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { tensor } from "../../tensor/tensor.ts";
import { nothingToEvaluate } from "../errors.ts";
import type { CoreMetrics, OwnFigures } from "./core-metrics.ts";
import { compareDirections, type LatentDirections } from "./directions.ts";
import { summarizeLatents } from "./misc-metrics.ts";
import { NextTokenComparison, vocabularyOf } from "./next-token.ts";
import { PreservationSums } from "./preservation.ts";
import { type LatentActivity, ReconstructionSums } from "./reconstruction.ts";
import { type HookPlace, placeOf, spliceOf } from "./splice.ts";

/** Everything that an evaluation reads. */
export interface CoreEvaluation {
  readonly lm: LanguageModel;
  readonly sae: Sae;
  readonly description: SaeDescription;
  readonly device: Device;
  /** Token ids of each prompt. */
  readonly prompts: readonly Int32Array[];
  /** Prompts of a batch: a few of SAEBench's figures depend on it. */
  readonly batch: number;
  /** Batches from the start whose predictions are compared; 0 for none. */
  readonly reconstructionBatches: number;
  /** Batches from the start whose reconstruction is measured. */
  readonly varianceBatches: number;
  /** Tokens that are left out of every figure and keep their activation. */
  readonly ignore: ReadonlySet<number>;
  /** Whether directions of latents are compared with each other. */
  readonly directions: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (phase: string, share: number) => void;
}

/** What was found. */
export interface CoreResult {
  readonly metrics: CoreMetrics;
  readonly own: OwnFigures;
  readonly activity: LatentActivity;
  readonly directions: LatentDirections | undefined;
  /** What was not measured, and why. */
  readonly notes: readonly string[];
}

/** Evaluates; the figures are sums over prompts in their order. */
export async function evaluateCore(evaluation: CoreEvaluation): Promise<CoreResult> {
  const { prompts, batch, signal, onProgress, description, device } = evaluation;
  const run = new PromptRun(evaluation);
  const varianceEnd = Math.min(prompts.length, evaluation.varianceBatches * batch);
  const comparedEnd = Math.min(
    prompts.length,
    run.canSplice ? evaluation.reconstructionBatches * batch : 0,
  );
  const sums = new ReconstructionSums(run.width, description.config.d_sae);
  const preserved = new PreservationSums();
  const end = Math.max(varianceEnd, comparedEnd);
  try {
    for (let from = 0; from < end; from += batch) {
      const readings: PromptReading[] = [];
      for (let at = from; at < Math.min(end, from + batch); at++) {
        const reading = await run.read(prompts[at]!);
        if (at < comparedEnd) await run.compare(reading, preserved);
        if (at < varianceEnd) readings.push(reading);
        onProgress("reading prompts", (at + 1) / end);
      }
      if (readings.length > 0) sums.add(joined(readings, run.width));
    }
  } finally {
    await run.release();
  }
  const directions = evaluation.directions
    ? await compareDirections(description, device, {
        signal,
        onProgress: (share) => onProgress("comparing directions", share),
      })
    : undefined;
  const { own, activity, tokens: _tokens, ...figures } = sums.finish();
  const count = (n: number): number => prompts.slice(0, n).reduce((sum, it) => sum + it.length, 0);
  return {
    metrics: {
      ...(comparedEnd > 0 ? preserved.finish() : {}),
      ...figures,
      token_stats: {
        total_tokens_eval_reconstruction: count(comparedEnd),
        total_tokens_eval_sparsity_variance: count(varianceEnd),
      },
      misc_metrics: summarizeLatents(activity.density, directions),
    },
    own,
    activity,
    directions,
    notes: run.notes,
  };
}

/** One prompt through the model up to the hook point, and through the SAE. */
interface PromptReading {
  readonly ids: Int32Array;
  readonly kept: Uint8Array;
  /** What is reconstructed. `[tokens, d_out]` */
  readonly x: Float32Array;
  readonly x_hat: Float32Array;
  readonly acts: SparseActs;
  /** What leaves the block of the replaced place. `[tokens, d_model]` */
  readonly resid: Floats;
}

class PromptRun {
  readonly width: number;
  readonly notes: string[] = [];
  readonly #evaluation: CoreEvaluation;
  readonly #input: HookPlace;
  readonly #output: HookPlace;
  readonly #comparison: NextTokenComparison;
  readonly #ablatedRows = new Map<number, Float32Array>();
  #positions: PositionInputs | undefined;
  #positionsLength = -1;

  constructor(evaluation: CoreEvaluation) {
    const { lm, description } = evaluation;
    const { config, path } = description;
    if (config.metaOf !== undefined) {
      throw nothingToEvaluate(path, `it reads the decoder rows of ${config.metaOf}`);
    }
    this.#evaluation = evaluation;
    this.width = config.d_out;
    this.#input = this.#place(config.hook);
    this.#output = this.#place(config.hookOut ?? config.hook);
    this.#comparison = new NextTokenComparison(vocabularyOf(lm), evaluation.device);
    if (!this.canSplice) {
      const name = printHookPoint(parseHookPoint(config.hookOut ?? config.hook));
      this.notes.push(
        `losses and divergence were not measured: ${name} cannot be replaced, only resid_pre, resid_post and mlp_out can`,
      );
    }
  }

  /** Whether the reconstruction can stand in for the activation. */
  get canSplice(): boolean {
    return spliceOf(this.#output) !== undefined;
  }

  async read(ids: Int32Array): Promise<PromptReading> {
    const { lm, sae, signal, ignore, description } = this.#evaluation;
    const { d_in } = description.config;
    if (ids.length !== this.#positionsLength) {
      this.#positions = new PositionInputs(lm.rotary);
      this.#positionsLength = ids.length;
    }
    const embedded = lm.embed(ids, 0);
    const wanted = new Map<number, BlockOutput[]>();
    for (const { layer, output } of [this.#input, this.#output]) {
      if (output) wanted.set(layer, [...(wanted.get(layer) ?? []), output]);
    }
    // The residual after the replaced place's block is kept, also where the SAE reads later.
    const to = Math.max(this.#input.layer, this.#output.layer) + 1;
    if (this.#output.layer >= 0) wanted.get(this.#output.layer)!.push("resid_post");
    const { outputs } = await runBlocks(lm, embedded, {
      from: 0,
      to,
      read: wanted,
      ...this.#run,
    });
    const rows = ({ layer, output }: HookPlace): Floats =>
      output === undefined ? embedded : outputs.get(layer)!.get(output)!;
    const input = tensor("float32", [ids.length, d_in], asFloat32(rows(this.#input)));
    const acts = await sae.encode(input, signal);
    const x_hat = (await sae.decode(acts, input, signal)).data;
    const { layer } = this.#output;
    return {
      ids,
      kept: Uint8Array.from(ids, (id) => (ignore.has(id) ? 0 : 1)),
      x: asFloat32(rows(this.#output)),
      x_hat,
      acts,
      resid: layer < 0 ? embedded : outputs.get(layer)!.get("resid_post")!,
    };
  }

  /** Lets the model predict with and without the replacement. */
  async compare(reading: PromptReading, sums: PreservationSums): Promise<void> {
    const { ids, kept, resid, x_hat } = reading;
    const clean = await this.#finish(resid);
    const sae = await this.#finish(this.#replaced(reading, x_hat));
    const ablated = await this.#ablated(reading);
    const targets = new Int32Array(ids.length).fill(-1);
    targets.set(ids.subarray(1));
    const runs = { clean, sae, ablated };
    sums.add(await this.#comparison.compare(runs, targets, this.#evaluation.signal), kept);
  }

  async release(): Promise<void> {
    await this.#comparison.release();
  }

  /** With zeros at the hook point. Where they are all of the residual, nothing of the prompt but its length is left. */
  async #ablated(reading: PromptReading): Promise<Float32Array> {
    const n = reading.ids.length;
    const known = this.#ablatedRows.get(n);
    if (known) return known;
    const everywhere = { ...reading, kept: new Uint8Array(n).fill(1) };
    const zeros = new Float32Array(reading.x_hat.length);
    const rows = await this.#finish(this.#replaced(everywhere, zeros));
    if (spliceOf(this.#output) === "replace") this.#ablatedRows.set(n, rows);
    return rows;
  }

  get #run(): { positions: PositionInputs; signal: AbortSignal } {
    return { positions: this.#positions!, signal: this.#evaluation.signal };
  }

  #place(name: string): HookPlace {
    const hook = this.#evaluation.lm.hook(name);
    const place = placeOf(hook);
    if (place) return place;
    const why = `it reads ${printHookPoint(hook)}, which has no rows between blocks`;
    throw nothingToEvaluate(this.#evaluation.description.path, why);
  }

  /** The residual with new activations at the tokens that are kept. */
  #replaced({ resid, x, kept }: PromptReading, activations: Float32Array): Floats {
    const changed = resid.slice();
    const d = this.width;
    const adds = spliceOf(this.#output) === "add";
    for (let at = 0; at < changed.length; at++) {
      if (!kept[Math.floor(at / d)]) continue;
      changed[at] = adds ? changed[at]! - x[at]! + activations[at]! : activations[at]!;
    }
    return changed;
  }

  /** The rest of the model, up to the normalised rows that the vocabulary reads. */
  async #finish(resid: Floats): Promise<Float32Array> {
    const { lm, signal } = this.#evaluation;
    const range = { from: this.#output.layer + 1, to: lm.config.n_layers, ...this.#run };
    const last = await runBlocks(lm, resid, range);
    return lm.unembedding.normalize(asFloat32(last.resid), signal);
  }
}

/** The prompts of one batch, one after the other. */
function joined(readings: readonly PromptReading[], width: number) {
  const nRows = readings.reduce((sum, { ids }) => sum + ids.length, 0);
  const nEntries = readings.reduce((sum, { acts }) => sum + acts.latents.length, 0);
  const x = new Float32Array(nRows * width);
  const x_hat = new Float32Array(nRows * width);
  const kept = new Uint8Array(nRows);
  const acts: SparseActs = {
    offsets: new Int32Array(nRows + 1),
    latents: new Int32Array(nEntries),
    acts: new Float32Array(nEntries),
  };
  const starts: number[] = [];
  let row = 0;
  for (const reading of readings) {
    const entry = acts.offsets[row]!;
    starts.push(row);
    x.set(reading.x, row * width);
    x_hat.set(reading.x_hat, row * width);
    kept.set(reading.kept, row);
    acts.latents.set(reading.acts.latents, entry);
    acts.acts.set(reading.acts.acts, entry);
    reading.acts.offsets.forEach((offset, at) => (acts.offsets[row + at] = entry + offset));
    row += reading.ids.length;
  }
  return { x, x_hat, acts, starts, kept };
}

function asFloat32(rows: Floats): Float32Array<ArrayBuffer> {
  return rows instanceof Float32Array
    ? (rows as Float32Array<ArrayBuffer>)
    : Float32Array.from(rows);
}
