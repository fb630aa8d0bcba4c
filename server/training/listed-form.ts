/**
 * Training of architectures whose latents are active by a threshold of their own. A batch is taken by lists of active
 * latents as soon as they are few; then of the five products of all latents only the encoder's is left. Until then,
 * and where lists do not say everything, the graph of the whole step takes it (`dense-form.ts`). Which of both is decided
 * from the batch and the parameters alone, so a run that is continued decides as one that never stopped.
 */
import { arenaBytes } from "../tensor/arena.ts";
import type { SparseRows } from "../tensor/kernels.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { AboveBounds, type FoundPiece } from "./above-bounds.ts";
import type { Batch } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import { DecoderNorms } from "./decoder-norms.ts";
import { openDenseForm } from "./dense-form.ts";
import { type DenseRecipe, hasWeights, isDouble, raise } from "./dense-recipe.ts";
import { lossBehind } from "./downstream.ts";
import type { FormParts, Forward, StepFacts, TrainingForm } from "./form.ts";
import type { ActiveLists, ListedRecipe } from "./listed-recipe.ts";
import { SkipPath } from "./skip-path.ts";
import { centred, SparseStep } from "./sparse-step.ts";

/**
 * Share of latents up to which lists are used. An entry costs four times 576 products one after the other in WebAssembly,
 * about as much as 20 latents in four matrix products of ONNX Runtime.
 */
const mostActive = 1 / 24;

/** Opens the form of an architecture that can be trained in both ways. */
export async function openListedForm(
  parts: FormParts,
  recipe: DenseRecipe & { readonly lists: ListedRecipe },
): Promise<TrainingForm> {
  const { config, parameters, device } = parts;
  const dense = await openDenseForm(parts, recipe);
  // Elsewhere the products of all latents cost less than what would have to come back for these.
  const isOnCpu = device.name === "cpu";
  const share = parts.mostActive ?? (isDouble(config) || !isOnCpu ? 0 : mostActive);
  if (share === 0) return dense;
  const above = await AboveBounds.open(parts);
  const skip = config.skip ? await SkipPath.open(config, parameters, device) : undefined;
  return new ListedForm(parts, recipe, { dense, above, skip, share });
}

interface Opened {
  readonly dense: TrainingForm;
  readonly above: AboveBounds;
  readonly skip: SkipPath | undefined;
  /** See `mostActive`. */
  readonly share: number;
}

/** Arrays of a batch, in the arena. */
interface Work {
  /** x less b_dec where the config says so, `[rows, d_in]`. */
  readonly x: Float32Array;
  readonly lists: Omit<ActiveLists, "rows">;
  readonly norms: DecoderNorms;
  readonly step: SparseStep;
  /** Of the second decoding. */
  readonly second: SparseStep | undefined;
}

class ListedForm implements TrainingForm {
  readonly #parts: FormParts;
  readonly #recipe: DenseRecipe & { readonly lists: ListedRecipe };
  readonly #opened: Opened;
  #work: Work | undefined;

  constructor(
    parts: FormParts,
    recipe: DenseRecipe & { readonly lists: ListedRecipe },
    opened: Opened,
  ) {
    this.#parts = parts;
    this.#recipe = recipe;
    this.#opened = opened;
  }

  workBytes(rows: number): number {
    const { config } = this.#parts;
    const { second } = this.#recipe.lists;
    const sizes = this.#sizes(rows);
    const capacity = arenaBytes(sizes.capacity);
    return (
      arenaBytes(rows * config.d_in) +
      arenaBytes(rows + 1) +
      arenaBytes(rows) +
      (second ? 4 : 3) * capacity +
      DecoderNorms.workBytes(config.d_sae) +
      (second ? 2 : 1) * SparseStep.workBytes(sizes)
    );
  }

  place(rows: number): void {
    const { config, parameters } = this.#parts;
    const { arena } = parameters;
    const hasSecond = this.#recipe.lists.second !== undefined;
    const sizes = this.#sizes(rows);
    const { capacity } = sizes;
    this.#work = {
      x: arena.float32(rows * config.d_in),
      lists: {
        offsets: arena.int32(rows + 1),
        ends: arena.int32(rows),
        columns: arena.int32(capacity),
        products: arena.float32(capacity),
        values: arena.float32(capacity),
        second: arena.float32(hasSecond ? capacity : 0),
      },
      norms: new DecoderNorms(parameters),
      step: new SparseStep(parameters, sizes),
      second: hasSecond ? new SparseStep(parameters, sizes) : undefined,
    };
  }

  async forward(batch: Batch, facts: StepFacts): Promise<Forward> {
    const { parameters } = this.#parts;
    const { lists: recipe } = this.#recipe;
    raise(this.#recipe, parameters);
    const x = centred(batch, this.#parts, this.#work!.x);
    const applies = recipe.applies(facts, parameters);
    const lists = applies ? await this.#find(batch, x, facts.signal) : undefined;
    if (lists === undefined) return this.#opened.dense.forward(batch, facts);
    recipe.activate(lists, parameters);
    return this.#forward(batch, { lists, x, facts });
  }

  explain(...args: Parameters<TrainingForm["explain"]>) {
    return this.#opened.dense.explain(...args);
  }

  attribute(...args: Parameters<TrainingForm["attribute"]>) {
    return this.#opened.dense.attribute(...args);
  }

  errorNorms(batch: Batch): Promise<Float64Array> {
    return this.#opened.dense.errorNorms!(batch);
  }

  state(): Map<string, Tensor> {
    return this.#opened.dense.state();
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    this.#opened.dense.restore(state);
  }

  async release(): Promise<void> {
    const { dense, above, skip } = this.#opened;
    await dense.release();
    await above.release();
    await skip?.release();
  }

  #sizes(rows: number) {
    const { config } = this.#parts;
    const perRow = Math.max(1, Math.floor(config.d_sae * this.#opened.share));
    const levels = [{ end: config.d_sae, weight: 1 }];
    return { config, rows, levels, capacity: rows * perRow };
  }

  /** What lies above the bounds; undefined where that is too much. */
  async #find(
    { rows }: Batch,
    x: Float32Array,
    signal: AbortSignal | undefined,
  ): Promise<ActiveLists | undefined> {
    const { d_sae } = this.#parts.config;
    const lists = { ...this.#work!.lists, rows };
    const bounds = this.#recipe.lists.bounds(this.#parts.parameters);
    let entries = 0;
    let fits = true;
    lists.offsets[0] = 0;
    const take = (piece: FoundPiece): boolean => {
      entries += piece.products.length;
      // Many in the first rows are many in all.
      fits = entries <= this.#sizes(piece.from + piece.rows).capacity;
      if (fits) appendPiece(lists, piece, d_sae);
      return fits;
    };
    await this.#opened.above.run({ rows, x, norms: undefined, signal }, () => bounds, take);
    return fits ? lists : undefined;
  }

  async #forward(
    batch: Batch,
    { lists, x, facts }: { lists: ActiveLists; x: Float32Array; facts: StepFacts },
  ): Promise<Forward> {
    const { parameters, config } = this.#parts;
    const { signal, step: number } = facts;
    const { step, norms } = this.#work!;
    const { lists: recipe } = this.#recipe;
    const [active, all] = [
      entriesOf(lists, lists.ends),
      entriesOf(lists, lists.offsets.subarray(1)),
    ];
    const skipped = await this.#opened.skip?.forward(batch.x, signal);
    const { losses, squaredError } = step.errors(batch, active, skipped);
    const behind = await lossBehind(batch, step.errorsOf(0, batch.rows), { config, signal });
    for (const { grad } of parameters.all) grad.fill(0);
    norms.forget();
    const mse = config.endToEnd?.mse ?? 1;
    const dy = step.scaleErrors(batch, { mse, behind: behind?.gradient });
    await this.#opened.skip?.gradient(batch.x, dy, signal);
    const slopes = step.slopesAt(batch, all);
    const second = this.#secondDecoding(batch, lists);
    const scalars = Object.fromEntries(
      Object.entries(this.#recipe.scalars(number)).map(([key, value]) => [key, Math.fround(value)]),
    );
    const { secondSlopes } = second;
    const own = recipe.backward({ lists, slopes, secondSlopes, parameters, norms, scalars });
    norms.addGradients();
    step.addGradients(batch, recipe.nearTrains ? all : active, x);
    const parts = { mse_loss: mse * losses[0]!, ...own.parts, ...second.parts, ...behind?.parts };
    const metrics = { ...own.metrics };
    return {
      loss: Object.values(parts).reduce((sum, part) => sum + part, 0),
      parts,
      ...firedOf(active, batch.rows, config),
      ...(hasWeights(config) ? {} : { squaredError }),
      metrics,
      commit: () => Object.assign(metrics, this.#recipe.commit?.(number, { ...parts, ...metrics })),
    };
  }

  /** The second reconstruction's error, with gradients by its activations; the decoder's gradients are added. */
  #secondDecoding(batch: Batch, lists: ActiveLists) {
    const { second: step } = this.#work!;
    const { second: recipe } = this.#recipe.lists;
    if (!step || !recipe) return { parts: {}, secondSlopes: new Float32Array() };
    const active = { ...entriesOf(lists, lists.ends), values: lists.second };
    const { losses } = step.errors(batch, active, undefined);
    step.scaleErrors(batch);
    const secondSlopes = step.slopesAt(batch, active);
    if (recipe.trainsDecoder) step.addGradients(batch, active, undefined);
    return { parts: { [recipe.part]: losses[0]! }, secondSlopes };
  }
}

/** The lists as sparse rows, each as far as `end` says. */
function entriesOf({ rows, offsets, columns, values }: ActiveLists, end: Int32Array): SparseRows {
  return { begin: offsets.subarray(0, rows), end: end.subarray(0, rows), columns, values };
}

/** Adds the entries of a piece behind those of the pieces before. */
function appendPiece(
  { offsets, columns, products }: Pick<ActiveLists, "offsets" | "columns" | "products">,
  { from, rows, places, products: found }: FoundPiece,
  d_sae: number,
): void {
  let entry = offsets[from]!;
  products.set(found, entry);
  let row = from;
  let end = d_sae;
  for (let at = 0; at < found.length; at++) {
    const place = places[2 * at]!;
    for (; place >= end; end += d_sae) offsets[++row] = entry;
    columns[entry++] = place - end + d_sae;
  }
  while (row < from + rows) offsets[++row] = entry;
}

function firedOf({ begin, end, columns, values }: SparseRows, rows: number, config: CommonConfig) {
  const fired = new Uint8Array(config.d_sae);
  let active = 0;
  for (let row = 0; row < rows; row++)
    for (let entry = begin[row]!; entry < end[row]!; entry++) {
      if (values[entry] === 0) continue;
      fired[columns[entry]!] = 1;
      active++;
    }
  return { fired, l0: active / rows };
}
