/**
 * Training by lists of active latents: a graph chooses them, and everything else (decoder, errors, gradients) is products
 * with sparse rows in the parameters' own memory. For architectures that keep few latents: TopK, AbsTopK, BatchTopK, and
 * Matryoshka, whose levels are reconstructions from the first latents alone.
 */
import { arenaBytes } from "../tensor/arena.ts";
import type { SparseRows } from "../tensor/kernels.ts";
import { type Tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import { AuxiliaryLoss, type AuxOptions, type AuxResult } from "./auxiliary-loss.ts";
import { lossBehind } from "./downstream.ts";
import type { Explanation, FormParts, Forward, StepFacts, TrainingForm } from "./form.ts";
import { rowNorms } from "./optimizer.ts";
import {
  type EntryLists,
  entryListBytes,
  entryLists,
  type Selection,
  type Selector,
} from "./selection.ts";
import { SkipPath } from "./skip-path.ts";
import { centred, SparseStep } from "./sparse-step.ts";
import type { ThresholdAverage } from "./threshold-average.ts";

/** What an architecture adds to a sparse form. */
export interface SparseRecipe {
  readonly selector: Selector;
  /** Activations are in units of the norms of W_dec's rows. */
  readonly rescaled: boolean;
  /** Activations may be negative, and rank by size. */
  readonly signed: boolean;
  /** Levels: reconstructions from the latents before each end, and what their errors weigh in the loss. The last is whole. */
  readonly levels: readonly { readonly end: number; readonly weight: number }[];
  readonly aux: AuxOptions | null;
  readonly average?: ThresholdAverage;
}

/** Opens a form with the sessions that its recipe needs. */
export async function openSparseForm(
  parts: FormParts,
  recipe: SparseRecipe,
): Promise<TrainingForm> {
  const { config, parameters, device } = parts;
  const { signed, rescaled } = recipe;
  const aux =
    recipe.aux && recipe.aux.coefficient > 0
      ? await AuxiliaryLoss.open(recipe.aux, { signed, rescaled }, { ...parts, d_in: config.d_in })
      : undefined;
  const skip = config.skip ? await SkipPath.open(config, parameters, device) : undefined;
  return new SparseForm(parts, recipe, { aux, skip });
}

/** Arrays of a batch, in the arena. */
interface Work {
  /** x less b_dec where the config says so, `[rows, d_in]`. */
  readonly x: Float32Array;
  readonly norms: Float32Array;
  readonly lists: EntryLists;
  readonly step: SparseStep;
}

class SparseForm implements TrainingForm {
  readonly #parts: FormParts;
  readonly #recipe: SparseRecipe;
  readonly #aux: AuxiliaryLoss | undefined;
  readonly #skip: SkipPath | undefined;
  #work: Work | undefined;

  constructor(
    parts: FormParts,
    recipe: SparseRecipe,
    sessions: { aux: AuxiliaryLoss | undefined; skip: SkipPath | undefined },
  ) {
    this.#parts = parts;
    this.#recipe = recipe;
    this.#aux = sessions.aux;
    this.#skip = sessions.skip;
  }

  workBytes(rows: number): number {
    const { config } = this.#parts;
    const capacity = this.#recipe.selector.capacity(rows);
    return (
      arenaBytes(rows * config.d_in) +
      arenaBytes(config.d_sae) +
      entryListBytes(rows, capacity) +
      SparseStep.workBytes(this.#sizes(rows))
    );
  }

  place(rows: number): void {
    const { config, parameters } = this.#parts;
    const { arena } = parameters;
    const { selector } = this.#recipe;
    const x = arena.float32(rows * config.d_in);
    const norms = arena.float32(config.d_sae);
    const lists = entryLists(arena, rows, selector.capacity(rows));
    const step = new SparseStep(parameters, this.#sizes(rows));
    selector.place(lists);
    this.#work = { x, norms, lists, step };
  }

  async forward(batch: Batch, { dead, signal }: StepFacts): Promise<Forward> {
    const { parameters, config } = this.#parts;
    const { average } = this.#recipe;
    const { step } = this.#work!;
    const { rows } = batch;
    const { x, used, selection } = await this.#select(batch, signal);
    const skipped = await this.#skip?.forward(batch.x, signal);
    const fired = firedOf(selection, config.d_sae);
    const { losses, squaredError } = step.errors(batch, selection, skipped);
    const behind = await lossBehind(batch, step.errorsOf(this.#recipe.levels.length - 1, rows), {
      config,
      signal,
    });
    for (const { grad } of parameters.all) grad.fill(0);
    const mask = dead.during(fired, rows);
    const aux = await this.#auxiliary(mask, { rows, x, norms: used, signal });
    const mse = config.endToEnd?.mse ?? 1;
    const dy = step.scaleErrors(batch, { mse, behind: behind?.gradient });
    await this.#skip?.gradient(batch.x, dy, signal);
    step.slopesAt(batch, selection);
    step.addGradients(batch, selection, x);
    const own = config.endToEnd ? losses.map((loss) => mse * loss) : losses;
    const parts = { ...this.#named(own, aux), ...behind?.parts };
    return {
      loss: Object.values(parts).reduce((sum, part) => sum + part, 0),
      parts,
      fired,
      l0: selection.entries / rows,
      ...(batch.weight ? {} : { squaredError }),
      ...(aux && this.#recipe.aux?.perVariance
        ? { metrics: { pre_norm_auxk_loss: aux.squaredError } }
        : {}),
      commit: () => average?.add(selection.smallest),
    };
  }

  async explain(batch: Batch, signal?: AbortSignal): Promise<Explanation> {
    const { selection } = await this.#select(batch, signal);
    const { step } = this.#work!;
    step.errors(batch, selection, undefined);
    return step.explain(batch, selection);
  }

  async attribute(batch: Batch, g: Tensor<"float32">, signal?: AbortSignal): Promise<number> {
    const { selection, x } = await this.#select(batch, signal);
    return this.#work!.step.attribute(batch, selection, x, g.data);
  }

  threshold(): number | undefined {
    return this.#recipe.average?.value;
  }

  finalThreshold(): number | undefined {
    return this.#recipe.average?.final;
  }

  state(): Map<string, Tensor> {
    return this.#recipe.average?.state() ?? new Map();
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    this.#recipe.average?.restore(state);
  }

  async release(): Promise<void> {
    await this.#recipe.selector.release();
    await this.#aux?.release();
    await this.#skip?.release();
  }

  /** The active latents of a batch, with what they were chosen by. */
  async #select(batch: Batch, signal?: AbortSignal) {
    const { parameters } = this.#parts;
    const { selector, rescaled } = this.#recipe;
    const { x: room, norms } = this.#work!;
    const x = centred(batch, this.#parts, room);
    if (rescaled) rowNorms(parameters.arena.kernels, parameters.get("W_dec").value, norms);
    const used = rescaled ? norms : undefined;
    const selection = await selector.select({ rows: batch.rows, x, norms: used, signal });
    return { x, used, selection };
  }

  #sizes(rows: number) {
    const { config } = this.#parts;
    const { selector, levels } = this.#recipe;
    return { config, rows, levels, capacity: selector.capacity(rows) };
  }

  /** The auxiliary losses of all levels that have dead latents; undefined where there is none. */
  async #auxiliary(
    mask: Uint8Array,
    input: {
      rows: number;
      x: Float32Array;
      norms: Float32Array | undefined;
      signal?: AbortSignal | undefined;
    },
  ): Promise<AuxResult | undefined> {
    const { levels, aux: options } = this.#recipe;
    const { step } = this.#work!;
    if (!this.#aux) return undefined;
    const parts = options?.perLevel ? levels : levels.slice(-1);
    let total: AuxResult | undefined;
    let begin = 0;
    for (const level of parts) {
      const latents: number[] = [];
      for (let latent = begin; latent < level.end; latent++) if (mask[latent]) latents.push(latent);
      begin = level.end;
      if (latents.length === 0) continue;
      const errors = step.errorsOf(levels.indexOf(level), input.rows);
      const { loss, squaredError } = await this.#aux.add({ ...input, latents, errors });
      total = {
        loss: loss + (total?.loss ?? 0),
        squaredError: squaredError + (total?.squaredError ?? 0),
      };
    }
    return total;
  }

  /** Parts of the loss by SAELens's names. */
  #named(losses: readonly number[], aux: AuxResult | undefined): Record<string, number> {
    const { levels } = this.#recipe;
    return {
      mse_loss: losses.at(-1)!,
      ...Object.fromEntries(
        losses.slice(0, -1).map((loss, at) => [`inner_mse_loss_${levels[at]!.end}`, loss]),
      ),
      ...(this.#recipe.aux ? { auxiliary_reconstruction_loss: aux?.loss ?? 0 } : {}),
    };
  }
}

function firedOf({ columns, entries }: Selection & SparseRows, d_sae: number): Uint8Array {
  const fired = new Uint8Array(d_sae);
  for (let entry = 0; entry < entries; entry++) fired[columns[entry]!] = 1;
  return fired;
}
