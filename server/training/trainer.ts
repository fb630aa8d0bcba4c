/**
 * The training room: SAEs from activations. A trainer holds the parameters of one SAE and takes steps; it reproduces the
 * trainers of SAELens and dictionary_learning number by number, with every detail as an option (`config.ts`). It knows no
 * language model, no corpus and no disk: a run brings batches, stores states, and writes what `finish` gives.
 *
 * Start with `Trainer` here, then `sae-trainer.ts` (what all have in common: normalisation, schedules, optimiser, dead
 * latents), then one file of `trainers/`. Architectures with few active latents step by sparse products in our own
 * memory (`sparse-form.ts`), the others by one graph (`dense-form.ts`).
 */
import type { Device } from "../runtime/device.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { RawBatch } from "./activation-normalization.ts";
import type { TrainConfig } from "./config.ts";
import type { FinishedSae } from "./finished-sae.ts";
import { SaeTrainer } from "./sae-trainer.ts";

export type { RawBatch } from "./activation-normalization.ts";
export type { FinishedSae } from "./finished-sae.ts";

/** What a step reports. */
export interface StepResult {
  /** Counted from 0. */
  readonly step: number;
  /** The rate that the step used. */
  readonly lr: number;
  readonly loss: number;
  /** Summands of the loss, named as SAELens names them: mse_loss, l1_loss, l0_loss, auxiliary_reconstruction_loss, … */
  readonly parts: Readonly<Record<string, number>>;
  /** Latents that count as dead, at the time that the config's rule says. */
  readonly dead: number;
  /** Mean number of active latents of a row. */
  readonly l0: number;
  /** Mean squared error over the variance of the target (sums over dimensions); not with per-token normalisation. */
  readonly fvu?: number;
  /** BatchTopK-like SAEs: the average that becomes the finished SAE's threshold. */
  readonly threshold?: number;
  /** Norm of all gradients together before clipping. */
  readonly gradNorm: number;
  /** Latents that were given new weights in this step. */
  readonly resampled?: number;
  /** What only some trainers report: lp_loss, p, sparsity_coeff, pre_norm_auxk_loss. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** One SAE in training. */
export interface Trainer {
  readonly config: TrainConfig;
  /** The meta-SAE that is trained with it, where the config has an adversary; its steps are the trainer's to take. */
  readonly adversary?: Trainer | undefined;
  /** Steps taken so far. */
  readonly steps: number;
  /** Batches that `observe` wants before the first step; 0 for most configs, and after `restore`. */
  readonly observations: number;
  /** Shows a batch to the statistics of the activation normalisation. */
  observe(batch: Tensor<"float32"> | RawBatch, signal?: AbortSignal): Promise<void>;
  /**
   * One step on activations `[batch, d_in]`, for a transcoder with its target `[batch, d_out]`. Either the whole step is
   * taken or, if it throws (cancelled, or the loss is not finite), nothing has changed; only an adversary may have taken
   * its own steps before, which it does not take again.
   */
  step(batch: Tensor<"float32"> | RawBatch, signal?: AbortSignal): Promise<StepResult>;
  /** Brings what a device holds to this process. `parameters`, `state` and `finish` may be asked after it, before the next step. */
  settle(): Promise<void>;
  /** The trained parameters by our names, in our orientation (`W_enc [d_in, d_sae]`), as copies. */
  parameters(): Map<string, Tensor<"float32">>;
  /** Everything that a bit-identical resume needs. The arrays are the trainer's own: write them before the next step. */
  state(): Map<string, Tensor>;
  /** Continues where `state` was taken. */
  restore(state: ReadonlyMap<string, Tensor>): void;
  /** The SAE for inference: normalisation, decoder norms and thresholds folded. Training may go on. */
  finish(): FinishedSae;
  release(): Promise<void>;
}

/**
 * Makes a trainer. `init` are initial parameters, by our names or by those of SAELens or dictionary_learning; statistics
 * of a whitening may be among them (`whitening/mean`, `whitening/matrix`, `whitening/inverse_matrix`).
 */
export async function openTrainer(
  config: TrainConfig,
  device: Device,
  init?: ReadonlyMap<string, Tensor>,
): Promise<Trainer> {
  return SaeTrainer.open(config, device, { init });
}
