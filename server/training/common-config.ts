/** The options that all trainers share. Each says what SAELens@6.54 and dictionary_learning@0.1.0 call it. */
import * as v from "valibot";
import { adversaryOption } from "./adversary-config.ts";
import { attributionOption } from "./attribution.ts";
import { endToEndOption } from "./downstream.ts";
import { belowOne, count, flag, notNegative, oneOf, positive, share, size } from "./options.ts";

/**
 * How the learning rate changes. Steps count from 0.
 *
 * `chained` (SAELens optim.py): rises to `lr` at step warmUpSteps − 1, starting from lr/warmUpSteps; then constant or
 * cosine down to `lrEnd`; in the last `decaySteps` linearly to 0. `trapezoid` (dictionary_learning trainer.py): 0 at
 * step 0, `lr` from step warmUpSteps on, from `decayStart` linearly to 0 at the end; or with `restartEvery` the rise again
 * and again.
 */
const lrSchedule = v.variant("kind", [
  v.strictObject({
    kind: v.literal("chained"),
    /** SAELens `lr_scheduler_name`. */
    main: v.optional(
      oneOf("constant", "cosineannealing", "cosineannealingwarmrestarts"),
      "constant",
    ),
    /** SAELens `lr_warm_up_steps`. */
    warmUpSteps: v.optional(count(), 0),
    /** SAELens `lr_decay_steps`. */
    decaySteps: v.optional(count(), 0),
    /** SAELens `lr_end`: the lowest rate of a cosine; null is lr/10. A constant rate ignores it. */
    lrEnd: v.optional(v.nullable(notNegative()), null),
    /** SAELens `n_restart_cycles`. */
    cycles: v.optional(size(), 1),
  }),
  v.strictObject({
    kind: v.literal("trapezoid"),
    /** dictionary_learning `warmup_steps`. */
    warmUpSteps: v.optional(count(), 0),
    /** dictionary_learning `decay_start`. */
    decayStart: v.optional(v.nullable(count()), null),
    /** dictionary_learning `resample_steps`, as far as it concerns the rate. */
    restartEvery: v.optional(v.nullable(size()), null),
  }),
]);

/** What is done to the rows of W_dec. */
const decoder = v.variant("kind", [
  /** Norms are free (SAELens; dictionary_learning's April update). */
  v.strictObject({ kind: v.literal("free") }),
  /**
   * Norms are 1: before clipping, the part of a row's gradient along the row is removed; after the step each row is
   * divided by its norm. dictionary_learning's ConstrainedAdam adds nothing to the norms, its
   * `remove_gradient_parallel_to_decoder_directions` and `set_decoder_norm_to_unit_norm` add these two numbers.
   */
  v.strictObject({
    kind: v.literal("unit"),
    gradientEps: v.optional(notNegative(), 0),
    normEps: v.optional(notNegative(), 0),
  }),
]);

/** What is done to activations before the SAE, and where it goes when training is over. SAELens `normalize_activations`. */
const normalizeActivations = v.variant("kind", [
  v.strictObject({ kind: v.literal("none") }),
  /**
   * All are multiplied by one factor, which is folded into the finished SAE. `unit` is the length that they get: √d_in by
   * their mean norm (SAELens `expected_average_only_in`), or 1 by their root mean square norm (dictionary_learning
   * trainSAE's `normalize_activations`). `fold`: into W_enc, W_dec and b_dec (SAELens), or into the biases and thresholds
   * (dictionary_learning `scale_biases`), which leaves activations in raw units.
   */
  v.strictObject({
    kind: v.literal("scale"),
    /** Null: estimated. */
    factor: v.optional(v.nullable(positive()), null),
    /** Of a transcoder's target; null: estimated. */
    targetFactor: v.optional(v.nullable(positive()), null),
    unit: v.optional(oneOf("root_d_in", "one"), "root_d_in"),
    /** SAELens `n_batches_for_norm_estimate`. */
    batches: v.optional(size(), 1000),
    fold: v.optional(oneOf("weights", "biases"), "weights"),
  }),
  /** x·√d_in/‖x‖ for each token, undone after decoding; the finished SAE does the same. */
  v.strictObject({ kind: v.literal("constant_norm_rescale") }),
  /** Mean 0 and standard deviation 1 for each token, undone after decoding; the finished SAE does the same. */
  v.strictObject({ kind: v.literal("layer_norm") }),
  /** Mean 0 and covariance 1 over all tokens, folded into the finished SAE. arXiv:2511.13981. */
  v.strictObject({
    kind: v.literal("covariance_whitening"),
    batches: v.optional(size(), 1000),
    /** Added to the covariance's eigenvalues. */
    eps: v.optional(positive(), 1e-3),
  }),
]);

/** Parameters before the first step, unless weights are given. */
const init = v.strictObject({
  /** Of the entries of W_dec: uniform (kaiming_uniform_ in both libraries) or normal (AutoEncoder, GatedAutoEncoder). */
  distribution: v.optional(oneOf("uniform", "normal"), "uniform"),
  /** Norm of W_dec's rows; null leaves what the distribution gives. SAELens `decoder_init_norm`. */
  decoderNorm: v.optional(v.nullable(positive()), 0.1),
  /** W_enc: the transposed W_dec, or entries of its own (transcoders). */
  encoder: v.optional(oneOf("decoder", "own"), "decoder"),
  /** b_dec at step 0, from the first batch where it is not zeros. dictionary_learning's TopK trainers: geometric_median. */
  b_dec: v.optional(oneOf("zeros", "mean", "geometric_median"), "zeros"),
});

/** When a latent counts as dead. */
const dead = v.strictObject({
  /** Steps or tokens without firing. SAELens `dead_feature_window` (steps), dictionary_learning `dead_feature_threshold` (tokens). */
  after: v.optional(count(), 1000),
  unit: v.optional(oneOf("steps", "tokens"), "steps"),
  /** Dead at exactly `after` too (dictionary_learning's TopK trainers), or only beyond it. */
  inclusive: v.optional(flag(), false),
  /** Whether a step's own firing counts already when it uses and reports dead latents (dictionary_learning), or not (SAELens). */
  counted: v.optional(oneOf("before_step", "after_step"), "before_step"),
});

/** Entries of every trainer's schema. */
export const commonEntries = {
  /** SAELens `d_in`, dictionary_learning `activation_dim`. */
  d_in: size(),
  /** SAELens `d_sae`, dictionary_learning `dict_size`. */
  d_sae: size(),
  /** Width of what a transcoder predicts; null for an SAE. */
  d_out: v.optional(v.nullable(size()), null),
  /** A transcoder's linear path beside the latents, x·W_skipᵀ. */
  skip: v.optional(flag(), false),
  /** One matrix for both: W_enc is the transposed W_dec. */
  tied: v.optional(flag(), false),
  /** Whether b_dec is subtracted from the input. SAELens `apply_b_dec_to_input`. */
  applyBDecToInput: v.optional(flag(), true),
  /** Steps of the whole run, to which the schedules refer. SAELens total_training_samples / train_batch_size_samples. */
  steps: size(),
  /** Of the initial parameters and of resampling. */
  seed: v.optional(count(), 0),
  lr: positive(),
  lrSchedule: v.optional(lrSchedule, { kind: "chained" }),
  /** Kingma and Ba 2014, arXiv:1412.6980. SAELens `adam_beta1`, `adam_beta2`. */
  adam: v.optional(
    v.strictObject({
      beta1: v.optional(belowOne(), 0.9),
      beta2: v.optional(belowOne(), 0.999),
      eps: v.optional(positive(), 1e-8),
    }),
    {},
  ),
  /** The longest gradient, over all parameters together; null for no limit. Both libraries: 1. */
  clipGradNorm: v.optional(v.nullable(positive()), 1),
  decoder: v.optional(decoder, { kind: "free" }),
  normalizeActivations: v.optional(normalizeActivations, { kind: "none" }),
  init: v.optional(init, {}),
  dead: v.optional(dead, {}),
  /** What comes after the SAE decides what is a good reconstruction; null: its own squared error does. */
  endToEnd: v.optional(endToEndOption, null),
  /** A meta-SAE that is trained with the SAE, and against it; null for none. */
  adversary: v.optional(adversaryOption, null),
  /** A penalty on the attributions of a labelled task; null for none. */
  attribution: v.optional(attributionOption, null),
  /** Facts for the finished SAE's `metadata`: model_name, hook_name, prepend_bos, meta_of, … */
  metadata: v.optional(v.record(v.string(), v.unknown()), {}),
} as const;

const commonObject = v.strictObject(commonEntries);

/** The options that all trainers share. */
export type CommonConfig = v.InferOutput<typeof commonObject>;

/**
 * Dead latents get new weights: sampled inputs, likelier where the error is larger, in the decoder of norm 1 and in the
 * encoder with `encoderScale` of the living latents' mean norm; their biases and Adam averages become 0.
 * dictionary_learning trainers/standard.py `resample_neurons`, where a latent is dead after half of `every` steps.
 */
export const resampleOption = v.nullable(
  v.strictObject({
    /** Steps between two times. dictionary_learning `resample_steps`. */
    every: size(),
    /** Step at which the first comes: 0 (StandardTrainer) or `every` − 1 (PAnnealTrainer). */
    first: v.optional(count(), 0),
    encoderScale: v.optional(positive(), 0.2),
  }),
);

/** Linear warm-up of a coefficient: 0 at step 0, whole from step `warmUpSteps` on. */
export const coefficientEntries = {
  coefficient: notNegative(),
  warmUpSteps: v.optional(count(), 0),
} as const;

/** An average over steps that a threshold follows; part of the options of TopK's family. */
export const thresholdAverageOption = v.strictObject({
  /** SAELens `topk_threshold_lr`; dictionary_learning 1 − `threshold_beta`. */
  rate: v.optional(share(), 0.01),
  /** Steps up to and including this one are left out; −1 for none. dictionary_learning `threshold_start_step`. */
  startStep: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(-1)), -1),
  /** The first value replaces nothing (dictionary_learning) or is averaged with 0 (SAELens). */
  from: v.optional(oneOf("first", "zero"), "zero"),
});
