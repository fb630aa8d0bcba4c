/** How an architecture takes a training step: what every trainer file provides, and what a step hands around. */
import type { Device } from "../runtime/device.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Batch } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import type { DenseRecipe } from "./dense-recipe.ts";
import type { DeadLatents } from "./dead-latents.ts";
import type { Parameters, ParameterShapes } from "./parameters.ts";

/** What a step is told. */
export interface StepFacts {
  /** Counted from 0. */
  readonly step: number;
  readonly lr: number;
  readonly dead: DeadLatents;
  readonly signal?: AbortSignal | undefined;
}

/** What the loss and the gradients of a batch say. */
export interface Forward {
  readonly loss: number;
  /** Summands of the loss, named as SAELens names them. */
  readonly parts: Readonly<Record<string, number>>;
  /** 1 for each latent that fired. */
  readonly fired: Uint8Array;
  /** Mean number of active latents in a row. */
  readonly l0: number;
  /** Mean over rows of ‖x̂ − target‖² in the units of the batch, where rows weigh the same. */
  readonly squaredError?: number;
  readonly metrics?: Readonly<Record<string, number>>;
  /** Takes the step, where the form has optimised by itself; returns the norm of all gradients. */
  readonly take?: () => number;
  /** Enters what the step means for averages that are no parameters. */
  readonly commit?: () => void;
}

/** How well an SAE reconstructs rows, each by itself, and how that changes with the row. */
export interface Explanation {
  /** ‖x̂ − x‖² of each row, in the units of the batch. */
  readonly squaredErrors: Float32Array;
  /** Gradient of each row's error by the row, which is input and target; active latents stay the same. `[rows, d_in]` */
  readonly gradient: Float32Array;
}

/** The part of a trainer that knows the architecture. */
export interface TrainingForm {
  /** Bytes of the parameters' arena that it works in for batches of so many rows. */
  workBytes(rows: number): number;
  /** Takes its arrays from the arena, and the parameters' new places. Called before the first step and when batches grow. */
  place(rows: number): void;
  /**
   * Loss and gradients of a batch. Gradients are left in the parameters, or the answer has a `take`; nothing else changes.
   */
  forward(batch: Batch, facts: StepFacts): Promise<Forward>;
  /** ‖x̂ − target‖ of each row with the present parameters, for resampling. */
  errorNorms?(batch: Batch): Promise<Float64Array>;
  /** Errors of rows that are input and target, and their gradients. Changes nothing. */
  explain(batch: Batch, signal?: AbortSignal): Promise<Explanation>;
  /**
   * Σ |act · (W_dec row · g)| over tokens and latents, with g `[rows, d_out]`, whose gradients it adds to those of
   * the parameters. Called after `forward`.
   */
  attribute(batch: Batch, g: Tensor<"float32">, signal?: AbortSignal): Promise<number>;
  /** The average that stands for the training's own selection, if the architecture has one and it has begun. */
  threshold?(): number | undefined;
  /** The same for an SAE that is finished now: before the average has begun, what was last seen. */
  finalThreshold?(): number | undefined;
  /** Brings parameters and averages from where the form keeps them to `Parameters`. */
  settle?(): Promise<void>;
  /** What is neither parameter nor optimiser. */
  state(): Map<string, Tensor>;
  restore(state: ReadonlyMap<string, Tensor>): void;
  release(): Promise<void>;
}

/** What a form is opened with. */
export interface FormParts<C extends CommonConfig = CommonConfig> {
  readonly config: C;
  readonly parameters: Parameters;
  readonly device: Device;
  /** Share of latents up to which lists of active ones are used, where a form can also do without: for comparison. */
  readonly mostActive?: number;
}

/** What the finished SAE is called and what its cfg.json says beside what all have. SAELens@6.54 saes/*.py. */
export interface FinishedKind {
  readonly architecture: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Activations are in units of the norms of W_dec's rows, which are folded into the encoder. */
  readonly rescaled?: boolean;
  /** The trained threshold becomes one JumpReLU threshold for all latents. */
  readonly spreadThreshold?: boolean;
}

/** An architecture that can be trained: one file of `trainers/`. */
export interface TrainerKind<C extends CommonConfig = CommonConfig> {
  /** What is wrong with options that are fine one by one. */
  problem?(config: C): string | undefined;
  /** All parameters, in the orientation in which they are trained. */
  shapes(config: C): ParameterShapes;
  /** Vectors that do not start at 0. */
  initial?(config: C): Readonly<Record<string, number>>;
  open(parts: FormParts<C>): Promise<TrainingForm>;
  /** The step as one graph over dense activations, for devices on which training can stay. */
  dense(config: C): DenseRecipe;
  finished(config: C): FinishedKind;
}

/** Shapes of W_enc (not where it is tied), W_dec, b_dec and W_skip (where there is a path beside the latents). */
export function matrixShapes({ d_in, d_sae, d_out, tied, skip }: CommonConfig): ParameterShapes {
  const width = d_out ?? d_in;
  return {
    ...(tied ? {} : { W_enc: [d_sae, d_in] }),
    W_dec: [d_sae, width],
    b_dec: [width],
    ...(skip ? { W_skip: [width, d_in] } : {}),
  };
}

/** `matrixShapes` with b_enc: what a linear encoder has. */
export function linearShapes(config: CommonConfig): ParameterShapes {
  return { ...matrixShapes(config), b_enc: [config.d_sae] };
}
