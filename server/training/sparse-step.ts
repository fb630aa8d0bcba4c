/** Decoder, errors and gradients of one batch from its list of active latents. */
import { arenaBytes } from "../tensor/arena.ts";
import type { Kernels, SparseRows } from "../tensor/kernels.ts";
import type { Batch } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Explanation } from "./form.ts";
import type { Parameters } from "./parameters.ts";
import type { Selection } from "./selection.ts";

/** A reconstruction from the latents before `end`, and the weight of its error in the loss. */
export interface Level {
  readonly end: number;
  readonly weight: number;
}

/** What room a step needs. */
export interface SparseStepSizes {
  readonly config: CommonConfig;
  readonly rows: number;
  /** Most entries of a batch. */
  readonly capacity: number;
  readonly levels: readonly Level[];
}

/** Entries by latent. */
interface ByLatent {
  /** `[d_sae + 1]` */
  readonly offsets: Int32Array;
  /** Row of each entry. */
  readonly rows: Int32Array;
  readonly values: Float32Array;
  readonly slopes: Float32Array;
}

/** The arrays of a step, and what is done in them. */
export class SparseStep {
  readonly #parameters: Parameters;
  readonly #sizes: SparseStepSizes;
  readonly #kernels: Kernels;
  /** Reconstruction, `[rows, d_out]`. */
  readonly #y: Float32Array;
  /** x̂ − target of each level; later the gradient of the loss by the part that the level's own latents add. */
  readonly #errors: readonly Float32Array[];
  /** Gradients by the entries' values. */
  readonly #slopes: Float32Array;
  /** Where the entries of each level begin in each row, from the second level on. */
  readonly #levelBegins: readonly Int32Array[];
  readonly #byLatent: ByLatent;
  /** All latents as one sparse row. */
  readonly #everyLatent: SparseRows;

  constructor(parameters: Parameters, sizes: SparseStepSizes) {
    const { arena } = parameters;
    const { rows, capacity, levels, config } = sizes;
    const size = rows * widthOf(sizes);
    this.#parameters = parameters;
    this.#sizes = sizes;
    this.#kernels = arena.kernels;
    this.#y = arena.float32(size);
    this.#errors = levels.map(() => arena.float32(size));
    this.#slopes = arena.float32(capacity);
    this.#levelBegins = levels.slice(1).map(() => arena.int32(rows));
    this.#byLatent = {
      offsets: arena.int32(config.d_sae + 1),
      rows: arena.int32(capacity),
      values: arena.float32(capacity),
      slopes: arena.float32(capacity),
    };
    const columns = arena.int32(config.d_sae);
    columns.forEach((_, latent) => (columns[latent] = latent));
    const values = arena.float32(config.d_sae);
    const [begin, end] = [arena.int32(1), arena.int32(1)];
    begin[0] = 0;
    end[0] = config.d_sae;
    this.#everyLatent = { begin, end, columns, values };
  }

  /** Bytes that the constructor takes from the arena. */
  static workBytes(sizes: SparseStepSizes): number {
    const { rows, capacity, levels, config } = sizes;
    return (
      (1 + levels.length) * arenaBytes(rows * widthOf(sizes)) +
      4 * arenaBytes(capacity) +
      (levels.length - 1) * arenaBytes(rows) +
      arenaBytes(config.d_sae + 1) +
      2 * arenaBytes(config.d_sae) +
      2 * arenaBytes(1)
    );
  }

  /**
   * Reconstructs and compares: mean squared error of each level times its weight, and of the last without row weights.
   * `skipped` `[rows, d_out]` is what bypasses the latents.
   */
  errors(
    batch: Batch,
    selection: SparseRows,
    skipped: Float32Array | undefined,
  ): { losses: number[]; squaredError: number } {
    const { rows, target, weight } = batch;
    const width = widthOf(this.#sizes);
    const y = this.#y.subarray(0, rows * width);
    this.#startFromBias(y, skipped);
    this.#splitLevels(selection, rows);
    const W_dec = this.#parameters.get("W_dec").value;
    let squaredError = 0;
    const losses = this.#sizes.levels.map((level, at) => {
      this.#kernels.addSparseTimesDense(y, this.#entriesOf(selection, at, rows), W_dec, width);
      const errors = this.#errors[at]!;
      let [weighted, plain] = [0, 0];
      for (let row = 0; row < rows; row++) {
        let squares = 0;
        for (let i = row * width; i < (row + 1) * width; i++) {
          const error = Math.fround(y[i]! - target.data[i]!);
          errors[i] = error;
          squares += error * error;
        }
        plain += squares;
        weighted += squares * (weight?.[row] ?? 1);
      }
      squaredError = plain / rows;
      return (level.weight * weighted) / rows;
    });
    return { losses, squaredError };
  }

  /** x̂ − target of a level, between `errors` and `scaleErrors`. `[rows, d_out]` */
  errorsOf(level: number, rows: number): Float32Array {
    return this.#errors[level]!.subarray(0, rows * widthOf(this.#sizes));
  }

  /**
   * Turns errors into gradients of the loss by each level's own part of x̂; returns the first, which is that by all. `behind`
   * is what flows back from behind the SAE into the whole x̂, beside `mse` times the errors' own.
   */
  scaleErrors(
    { rows, weight }: Batch,
    { mse = 1, behind }: { mse?: number; behind?: Float32Array | undefined } = {},
  ): Float32Array {
    const { levels } = this.#sizes;
    const width = widthOf(this.#sizes);
    for (let at = levels.length - 1; at >= 0; at--) {
      const errors = this.#errors[at]!;
      const after = this.#errors[at + 1];
      for (let row = 0; row < rows; row++) {
        const factor = Math.fround((2 * mse * levels[at]!.weight * (weight?.[row] ?? 1)) / rows);
        const end = (row + 1) * width;
        if (after)
          for (let i = row * width; i < end; i++) errors[i] = errors[i]! * factor + after[i]!;
        else for (let i = row * width; i < end; i++) errors[i] = errors[i]! * factor;
      }
      if (behind && !after) for (let i = 0; i < behind.length; i++) errors[i]! += behind[i]!;
    }
    return this.errorsOf(0, rows);
  }

  /**
   * After `errors`: ‖x̂ − x‖² of each row, and its gradient by the row, which is input and target. `[rows, d_in]`
   */
  explain({ rows }: Batch, selection: SparseRows): Explanation {
    const { levels, config } = this.#sizes;
    const errors = this.errorsOf(levels.length - 1, rows);
    const width = config.d_in;
    const squaredErrors = new Float32Array(rows);
    for (let at = 0; at < errors.length; at++)
      squaredErrors[Math.floor(at / width)]! += errors[at]! ** 2;
    const W_dec = this.#parameters.get("W_dec").value;
    const slopes = { ...selection, values: this.#slopes };
    this.#kernels.denseTimesDenseAt(errors, slopes, W_dec, width);
    const throughEncoder = this.#y.subarray(0, rows * width).fill(0);
    const W_enc = this.#parameters.has("W_enc") ? this.#parameters.get("W_enc").value : W_dec;
    this.#kernels.addSparseTimesDense(throughEncoder, slopes, W_enc, width);
    const gradient = throughEncoder.map((it, at) => 2 * (it - errors[at]!));
    return { squaredErrors, gradient };
  }

  /** Σ |value · (W_dec row · g)| over the entries; adds its gradients to those of the parameters. `g`: `[rows, d_out]` */
  attribute({ rows }: Batch, selection: Selection, x: Float32Array, g: Float32Array): number {
    const { config, levels } = this.#sizes;
    const width = widthOf(this.#sizes);
    const W_dec = this.#parameters.get("W_dec");
    const room = this.errorsOf(levels.length - 1, rows);
    room.set(g);
    const slopes = this.#slopes;
    const { entries, values } = selection;
    this.#kernels.denseTimesDenseAt(room, { ...selection, values: slopes }, W_dec.value, width);
    let loss = 0;
    for (let entry = 0; entry < entries; entry++) {
      const attribution = values[entry]! * slopes[entry]!;
      loss += Math.abs(attribution);
      const sign = Math.sign(attribution);
      slopes[entry] = sign * slopes[entry]!;
      values[entry] = sign * values[entry]!;
    }
    this.#sortByLatent(selection, rows);
    const { values: signed, slopes: bySlope, offsets } = this.#byLatent;
    this.#kernels.addSparseTimesDense(
      W_dec.grad,
      this.#latents(0, config.d_sae, signed),
      room,
      width,
    );
    const W_enc = this.#parameters.has("W_enc") ? this.#parameters.get("W_enc") : W_dec;
    const own = this.#latents(0, config.d_sae, bySlope);
    this.#kernels.addSparseTimesDense(W_enc.grad, own, x, config.d_in);
    const b_enc = this.#parameters.get("b_enc").grad;
    for (let latent = 0; latent < config.d_sae; latent++) {
      let sum = 0;
      for (let at = offsets[latent]!; at < offsets[latent + 1]!; at++) sum += bySlope[at]!;
      b_enc[latent]! += sum;
      this.#everyLatent.values[latent] = -sum;
    }
    const b_dec = this.#parameters.get("b_dec").grad;
    if (config.applyBDecToInput)
      this.#kernels.addSparseTimesDense(b_dec, this.#everyLatent, W_enc.value, width);
    return loss;
  }

  /**
   * After `scaleErrors`: gradients of the loss by the values of entries, at the same indices. They stay for `addGradients`,
   * and may be changed before.
   */
  slopesAt({ rows }: Batch, places: SparseRows): Float32Array {
    const W_dec = this.#parameters.get("W_dec").value;
    this.#sizes.levels.forEach((_, at) => {
      const own = { ...this.#entriesOf(places, at, rows), values: this.#slopes };
      this.#kernels.denseTimesDenseAt(this.#errors[at]!, own, W_dec, widthOf(this.#sizes));
    });
    return this.#slopes;
  }

  /**
   * Adds the gradients of W_dec and b_dec, and with the encoder's input `x` `[rows, d_in]` those of W_enc, of b_enc if
   * there is one, and what of them comes back to b_dec.
   */
  addGradients({ rows }: Batch, selection: SparseRows, x: Float32Array | undefined): void {
    const { levels, config } = this.#sizes;
    const width = widthOf(this.#sizes);
    const W_dec = this.#parameters.get("W_dec");
    this.#sortByLatent(selection, rows);
    let first = 0;
    levels.forEach(({ end }, at) => {
      const own = this.#latents(first, end, this.#byLatent.values);
      const grad = W_dec.grad.subarray(first * width, end * width);
      this.#kernels.addSparseTimesDense(grad, own, this.#errors[at]!, width);
      first = end;
    });
    this.#addErrorSums(rows);
    if (x === undefined) return;
    const W_enc = this.#parameters.has("W_enc") ? this.#parameters.get("W_enc") : W_dec;
    const all = this.#latents(0, config.d_sae, this.#byLatent.slopes);
    this.#kernels.addSparseTimesDense(W_enc.grad, all, x, config.d_in);
    this.#addBiasGradients(W_enc.value);
  }

  /** b_dec in every row, and what bypasses the latents. */
  #startFromBias(y: Float32Array, skipped: Float32Array | undefined): void {
    const b_dec = this.#parameters.get("b_dec").value;
    const width = b_dec.length;
    if (skipped === undefined) {
      for (let at = 0; at < y.length; at += width) y.set(b_dec, at);
      return;
    }
    for (let at = 0; at < y.length; at += width)
      for (let i = 0; i < width; i++) y[at + i] = skipped[at + i]! + b_dec[i]!;
  }

  /** Finds where each row's entries pass from one level to the next; they lie in the order of their latents. */
  #splitLevels({ begin, end, columns }: SparseRows, rows: number): void {
    this.#levelBegins.forEach((begins, at) => {
      const limit = this.#sizes.levels[at]!.end;
      const from = at === 0 ? begin : this.#levelBegins[at - 1]!;
      for (let row = 0; row < rows; row++) {
        let entry = from[row]!;
        while (entry < end[row]! && columns[entry]! < limit) entry++;
        begins[row] = entry;
      }
    });
  }

  #entriesOf(selection: SparseRows, level: number, rows: number): SparseRows {
    const { begin, end, columns, values } = selection;
    return {
      begin: level === 0 ? begin : this.#levelBegins[level - 1]!.subarray(0, rows),
      end: this.#levelBegins[level]?.subarray(0, rows) ?? end,
      columns,
      values,
    };
  }

  /** Latents `[first, end)` as sparse rows over the batch. */
  #latents(first: number, end: number, values: Float32Array): SparseRows {
    const { offsets, rows } = this.#byLatent;
    return {
      begin: offsets.subarray(first, end),
      end: offsets.subarray(first + 1, end + 1),
      columns: rows,
      values,
    };
  }

  /** Counting sort: entries of a latent keep the order of their rows. */
  #sortByLatent({ begin, end, columns, values }: SparseRows, nRows: number): void {
    const { offsets, rows, values: sorted, slopes } = this.#byLatent;
    offsets.fill(0);
    for (let row = 0; row < nRows; row++)
      for (let entry = begin[row]!; entry < end[row]!; entry++) offsets[columns[entry]! + 1]!++;
    for (let latent = 1; latent < offsets.length; latent++)
      offsets[latent]! += offsets[latent - 1]!;
    const next = offsets.slice();
    for (let row = 0; row < nRows; row++)
      for (let entry = begin[row]!; entry < end[row]!; entry++) {
        const at = next[columns[entry]!]!++;
        rows[at] = row;
        sorted[at] = values[entry]!;
        slopes[at] = this.#slopes[entry]!;
      }
  }

  /** Adds to b_dec the sums of all errors. */
  #addErrorSums(rows: number): void {
    const b_dec = this.#parameters.get("b_dec").grad;
    const errors = this.#errors[0]!;
    const width = b_dec.length;
    const sums = new Float64Array(width);
    for (let at = 0; at < rows * width; at += width)
      for (let i = 0; i < width; i++) sums[i]! += errors[at + i]!;
    sums.forEach((sum, i) => (b_dec[i]! += sum));
  }

  /** b_enc from its entries, and b_dec from b_enc's where it is subtracted from the input. */
  #addBiasGradients(W_enc: Float32Array): void {
    const { config } = this.#sizes;
    const { offsets, slopes } = this.#byLatent;
    const b_enc = this.#parameters.has("b_enc") ? this.#parameters.get("b_enc").grad : undefined;
    const b_dec = this.#parameters.get("b_dec").grad;
    for (let latent = 0; latent < config.d_sae; latent++) {
      let sum = 0;
      for (let at = offsets[latent]!; at < offsets[latent + 1]!; at++) sum += slopes[at]!;
      if (b_enc) b_enc[latent]! += sum;
      this.#everyLatent.values[latent] = -(b_enc?.[latent] ?? sum);
    }
    if (config.applyBDecToInput)
      this.#kernels.addSparseTimesDense(b_dec, this.#everyLatent, W_enc, b_dec.length);
  }
}

function widthOf({ config }: Pick<SparseStepSizes, "config">): number {
  return config.d_out ?? config.d_in;
}

/** Copies the encoder's input into an array of the arena, less b_dec where the config says so. `[rows, d_in]` */
export function centred(
  { x, rows }: Batch,
  { config, parameters }: { readonly config: CommonConfig; readonly parameters: Parameters },
  room: Float32Array,
): Float32Array {
  const { d_in } = config;
  const out = room.subarray(0, rows * d_in);
  out.set(x.data);
  if (!config.applyBDecToInput) return out;
  const b_dec = parameters.get("b_dec").value;
  for (let at = 0; at < out.length; at += d_in)
    for (let i = 0; i < d_in; i++) out[at + i] = out[at + i]! - b_dec[i]!;
  return out;
}
