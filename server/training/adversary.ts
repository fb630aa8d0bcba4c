/** The meta-SAE of a joint training in its turns: its own steps, and the penalty on what it explains. */
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { type AdversaryConfig, hasTurn, turnsBefore } from "./adversary-config.ts";
import type { RawBatch } from "./activation-normalization.ts";
import type { Explanation } from "./form.ts";
import type { Parameter } from "./parameters.ts";
import { SeededRandom } from "../base/seeded-random.ts";
import { warmedUp } from "./schedules.ts";
import type { Trainer } from "./trainer.ts";

/** Streams of random numbers for the rows that are drawn, of the penalty and of the meta-SAE's steps. */
const [penaltyStream, stepStream] = [4, 5] as const;
/** What names of the meta-SAE's state begin with. */
const statePrefix = "adversary/";

/** A trainer that can say what it explains of each row of a batch. */
export interface MetaTrainer extends Trainer {
  explain(batch: RawBatch, signal?: AbortSignal): Promise<Explanation>;
}

/** What a turn adds to the step's report. */
export interface AdversaryTurn {
  readonly parts: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A meta-SAE and its options. */
export class Adversary {
  readonly trainer: MetaTrainer;
  readonly #config: AdversaryConfig;
  readonly #seed: number;

  constructor(config: AdversaryConfig, trainer: MetaTrainer, seed: number) {
    this.#config = config;
    this.trainer = trainer;
    this.#seed = seed;
  }

  /**
   * Lets the meta-SAE take the steps that are due in a step of the SAE. They are taken once, however often the step
   * is begun: the rows stay the same until the SAE's step is taken.
   */
  async learn(W_dec: Parameter, step: number, signal?: AbortSignal): Promise<void> {
    const { trainer } = this;
    const due = turnsBefore(step + 1, this.#config) * this.#config.stepsPerStep;
    while (trainer.steps < due) {
      const random = new SeededRandom(this.#seed, stepStream, trainer.steps);
      const { rows } = unitRows(W_dec, this.#draw(W_dec, random));
      if (trainer.steps === 0)
        for (let seen = 0; seen < trainer.observations; seen++) await trainer.observe(rows, signal);
      await trainer.step(rows, signal);
    }
  }

  /** Adds the penalty's gradient to that of W_dec; nothing where it has no turn. */
  async penalise(W_dec: Parameter, step: number, signal?: AbortSignal): Promise<AdversaryTurn> {
    const { coefficient, warmUpSteps, startStep } = this.#config;
    if (!hasTurn(step, this.#config)) return { parts: {}, metrics: {} };
    const factor = warmedUp(coefficient, warmUpSteps, step - startStep);
    const latents = this.#draw(W_dec, new SeededRandom(this.#seed, penaltyStream, step));
    const { rows, norms } = unitRows(W_dec, latents);
    const { squaredErrors, gradient } = await this.trainer.explain({ x: rows }, signal);
    const width = W_dec.dims[1]!;
    let explained = 0;
    latents.forEach((latent, at) => {
      const share = 1 - squaredErrors[at]!;
      // A row of zeros has no direction.
      if (share <= 0 || norms[at] === 0) return;
      explained += share;
      const d = rows.data.subarray(at * width, (at + 1) * width);
      const dError = gradient.subarray(at * width, (at + 1) * width);
      let along = 0;
      for (let i = 0; i < width; i++) along += d[i]! * dError[i]!;
      const scale = -factor / (latents.length * norms[at]!);
      const grad = W_dec.grad.subarray(latent * width, (latent + 1) * width);
      for (let i = 0; i < width; i++) grad[i] = grad[i]! + scale * (dError[i]! - along * d[i]!);
    });
    const share = explained / latents.length;
    return { parts: { adversary_loss: factor * share }, metrics: { meta_explained: share } };
  }

  state(): Map<string, Tensor> {
    return new Map([...this.trainer.state()].map(([name, it]) => [statePrefix + name, it]));
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    const own = [...state].filter(([name]) => name.startsWith(statePrefix));
    this.trainer.restore(new Map(own.map(([name, it]) => [name.slice(statePrefix.length), it])));
  }

  #draw({ dims }: Parameter, random: SeededRandom): Int32Array {
    const [d_sae = 0] = dims;
    const all = Int32Array.from({ length: d_sae }, (_, latent) => latent);
    const rows = Math.min(this.#config.rows ?? d_sae, d_sae);
    if (rows === d_sae) return all;
    for (let at = 0; at < rows; at++) {
      const other = at + Math.floor(random.uniform() * (d_sae - at));
      [all[at], all[other]] = [all[other]!, all[at]!];
    }
    return all.subarray(0, rows);
  }
}

/** Rows of W_dec scaled to norm 1, as copies. `[latents, d_out]` */
function unitRows(
  { dims, value }: Parameter,
  latents: Int32Array,
): { rows: Tensor<"float32">; norms: Float64Array } {
  const width = dims[1]!;
  const data = new Float32Array(latents.length * width);
  const norms = Float64Array.from(latents, (latent, at) => {
    const row = value.subarray(latent * width, (latent + 1) * width);
    const norm = Math.sqrt(row.reduce((sum, it) => sum + it * it, 0));
    if (norm > 0) for (let i = 0; i < width; i++) data[at * width + i] = row[i]! / norm;
    return norm;
  });
  return { rows: tensor("float32", [latents.length, width], data), norms };
}
