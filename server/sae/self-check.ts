/**
 * What an SAE does on real activations, beside what its files claim: a wrong hook point, a lost scale or a TopK read as
 * ReLU shows at once in L0 and FVU.
 */
import { assert } from "../base/errors.ts";
import { seeded } from "../base/seeded-random.ts";
import type { SelfCheck } from "../protocol/reader.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import type { SaeConfig } from "./config.ts";
import { rowsOf } from "./graph-encoder.ts";
import type { Sae } from "./sae.ts";
import type { SparseActs } from "./sparse-acts.ts";
import { shuffledRows, unitRows } from "./unit-rows.ts";

/** Activations of one sequence from its position 0 on. */
export interface CheckWindow {
  readonly x: Tensor<"float32">;
  /** What a transcoder predicts; x itself for other SAEs. */
  readonly target?: Tensor<"float32">;
}

/** Runs a piece of device work, e.g. when the device is free. */
export type Step = <T>(job: () => Promise<T>) => Promise<T>;

const immediately: Step = (job) => job();

/** Rows of one piece of a meta-SAE's check. */
const pieceRows = 512;
const shuffleSeed = 0;
/** A latent on more than this share of tokens is dense. */
const denseShare = 0.1;
/** Measured L0 may differ from the declared one by this share. */
const l0Tolerance = 0.25;

/**
 * Measures an SAE on sequences. Row 0 of each window (position 0, where BOS stands if there is one: `hasBos`) counts
 * only in `fvuWithBos`: its residual is an outlier that SAEs are not trained on.
 */
export async function checkSae(
  sae: Sae,
  { windows }: { windows: readonly CheckWindow[]; hasBos?: boolean },
  step: Step = immediately,
  signal?: AbortSignal,
): Promise<SelfCheck> {
  const { d_sae, d_out } = sae.config;
  const rest = new Tally(d_sae, d_out);
  const first = new Tally(d_sae, d_out);
  for (const { x, target = x } of windows) {
    signal?.throwIfAborted();
    const { acts, x_hat } = await step(() => run(sae, x, signal));
    const wanted = flat(target, d_out);
    first.add(wanted, { acts, x_hat }, [0, 1]);
    rest.add(wanted, { acts, x_hat }, [1, wanted.dims[0]!]);
  }
  const check = rest.finish();
  return {
    ...check,
    fvuWithBos: rest.join(first).fvu(),
    warnings: warningsOf(sae.config, check),
  };
}

/**
 * Measures a meta-SAE on its parent's decoder rows, scaled to norm 1, and on the same rows with the entries of each
 * shuffled: rows without structure, of the same norm. A meta-SAE that explains both alike has learned nothing.
 */
export async function checkMetaSae(
  meta: Sae,
  parent: Sae,
  step: Step = immediately,
  signal?: AbortSignal,
): Promise<SelfCheck> {
  const { d_sae, d_out, d_in } = meta.config;
  const real = new Tally(d_sae, d_out);
  const shuffled = new Tally(d_sae, d_out);
  const random = seeded(shuffleSeed);
  for (let from = 0; from < parent.config.d_sae; from += pieceRows) {
    signal?.throwIfAborted();
    const to = Math.min(from + pieceRows, parent.config.d_sae);
    const latents = Array.from({ length: to - from }, (_, at) => from + at);
    const x = tensor(
      "float32",
      [latents.length, d_in],
      unitRows(parent.decoderRows(latents), d_in),
    );
    real.add(x, await step(() => run(meta, x, signal)), [0, latents.length]);
    const y = tensor("float32", x.dims, shuffledRows(x.data, d_in, random));
    shuffled.add(y, await step(() => run(meta, y, signal)), [0, latents.length]);
  }
  const check = real.finish();
  const shuffledFvu = shuffled.fvu();
  const warnings = warningsOf(meta.config, check);
  if (check.fvu >= shuffledFvu)
    warnings.push(
      `it explains ${parent.config.hook}'s decoder rows no better than shuffled ones (FVU ${show(check.fvu)} and ${show(shuffledFvu)}): it may belong to another SAE`,
    );
  return { ...check, fvuWithBos: check.fvu, shuffledFvu, warnings };
}

async function run(
  sae: Sae,
  x: Tensor<"float32">,
  signal?: AbortSignal,
): Promise<{ acts: SparseActs; x_hat: Tensor<"float32"> }> {
  const acts = await sae.encode(x, signal);
  return { acts, x_hat: await sae.decode(acts, x, signal) };
}

/** Sums over rows, from which all figures follow. */
class Tally {
  readonly #fired: Int32Array;
  readonly #maxActivation: Float32Array;
  readonly #sum: Float64Array;
  #squares = 0;
  #error = 0;
  #active = 0;
  #rows = 0;

  constructor(d_sae: number, d_out: number) {
    this.#fired = new Int32Array(d_sae);
    this.#maxActivation = new Float32Array(d_sae);
    this.#sum = new Float64Array(d_out);
  }

  /** Adds rows [from, to) of a piece. */
  add(
    target: Tensor<"float32">,
    { acts, x_hat }: { acts: SparseActs; x_hat: Tensor<"float32"> },
    [from, to]: readonly [number, number],
  ): void {
    const width = this.#sum.length;
    assert(x_hat.dims[0] === target.dims[0], "x_hat and its target have as many rows");
    for (let at = from * width; at < to * width; at++) {
      const value = target.data[at]!;
      this.#sum[at % width] = this.#sum[at % width]! + value;
      this.#squares += value * value;
      this.#error += (value - x_hat.data[at]!) ** 2;
    }
    const { offsets, latents } = acts;
    for (let entry = offsets[from]!; entry < offsets[to]!; entry++) {
      const latent = latents[entry]!;
      this.#fired[latent] = this.#fired[latent]! + 1;
      const act = Math.abs(acts.acts[entry]!);
      if (act > this.#maxActivation[latent]!) this.#maxActivation[latent] = act;
    }
    this.#active += offsets[to]! - offsets[from]!;
    this.#rows += to - from;
  }

  /** The sums of both, for FVU alone. */
  join(other: Tally): Tally {
    const both = new Tally(0, this.#sum.length);
    both.#squares = this.#squares + other.#squares;
    both.#error = this.#error + other.#error;
    both.#rows = this.#rows + other.#rows;
    for (const [at, sum] of this.#sum.entries()) both.#sum[at] = sum + other.#sum[at]!;
    return both;
  }

  /** Σ(x − x_hat)² / Σ(x − mean x)². */
  fvu(): number {
    const ofMean = this.#sum.reduce((total, sum) => total + sum * sum, 0) / this.#rows;
    return this.#error / (this.#squares - ofMean);
  }

  finish(): Omit<SelfCheck, "fvuWithBos" | "warnings"> {
    const dead = this.#fired.reduce((n, fired) => n + (fired === 0 ? 1 : 0), 0);
    const dense = [...this.#fired.keys()].filter(
      (latent) => this.#fired[latent]! > denseShare * this.#rows,
    );
    return {
      tokens: this.#rows,
      l0: this.#active / this.#rows,
      fvu: this.fvu(),
      deadShare: dead / this.#fired.length,
      denseLatents: Int32Array.from(dense),
      maxActivation: this.#maxActivation,
    };
  }
}

/** What disagrees with the declared figures. A Gated or ReLU SAE declares none, so only its FVU can. */
function warningsOf(config: SaeConfig, { l0, fvu }: Pick<SelfCheck, "l0" | "fvu">): string[] {
  const warnings: string[] = [];
  const { declared } = config;
  const stated = ["l0", "final_l0", "k"].find((key) => typeof declared[key] === "number");
  const wanted = stated === undefined ? config.k : Number(declared[stated]);
  if (wanted !== undefined && Math.abs(l0 - wanted) > l0Tolerance * wanted)
    warnings.push(
      `measured L0 is ${show(l0)}, declared ${stated ?? "k"} ${show(wanted)}: the text is unlike the training text, or hook point, scale or BOS policy are not those of the training`,
    );
  if (!(fvu <= 1))
    warnings.push(
      `FVU is ${show(fvu)}: the reconstruction is worse than the mean activation; hook point, scale or model are not those of the training`,
    );
  return warnings;
}

function show(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** `[tokens, …] -> [tokens, d_out]` */
function flat(target: Tensor<"float32">, d_out: number): Tensor<"float32"> {
  const whole = tensor("float32", [sizeOf(target.dims) / d_out, d_out], target.data);
  return rowsOf(whole, 0, whole.dims[0]!);
}
