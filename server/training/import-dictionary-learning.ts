/**
 * dictionary_learning's trainer configs: what its trainers' `config` property says (and `trainer_N/config.json` holds
 * under `trainer`), and arguments of their constructors, which that property partly leaves out.
 *
 * dictionary_learning@0.1.0 trainers/*.py. Defaults for what is left out are the library's.
 */
import { type TrainConfig, parseTrainConfig } from "./config.ts";
import { unsupportedOption } from "./errors.ts";
import { ForeignOptions } from "./foreign-options.ts";
import { dictionaryLearningHook } from "./dictionary-learning-hook.ts";

/** Reads a config of dictionary_learning. An option that it does not know is an error that names it. */
export function importDictionaryLearning(
  value: unknown,
  where = "the dictionary_learning config",
): TrainConfig {
  const options = new ForeignOptions(value, where);
  const name = options.string("trainer_class");
  const read = trainers[name];
  if (!read) throw options.wrong("trainer_class", `one of ${Object.keys(trainers).join(", ")}`);
  const config = { ...common(options), ...read(options) };
  options.done();
  return parseTrainConfig(config, where);
}

type Reader = (options: ForeignOptions) => Record<string, unknown>;

const trainers: Readonly<Record<string, Reader>> = {
  StandardTrainer: (options) => ({
    architecture: "standard",
    ...schedule(options, 1e-3),
    ...constrained,
    ...normalInit(0.1),
    clipGradNorm: null,
    sparsity: l1(options, false),
    ...resampling(options, 0),
  }),
  StandardTrainerAprilUpdate: (options) => ({
    architecture: "standard",
    ...schedule(options, 1e-3),
    ...normalInit(0.1),
    sparsity: l1(options, true),
  }),
  PAnnealTrainer: (options) => ({
    architecture: "standard",
    ...schedule(options, 1e-3),
    ...constrained,
    ...normalInit(0.1),
    clipGradNorm: null,
    sparsity: pAnneal(options, "Lp"),
    ...resampling(options, resampleSteps(options) - 1),
  }),
  GatedSAETrainer: (options) => ({
    architecture: "gated",
    ...schedule(options, 5e-5),
    ...constrained,
    ...normalInit(1),
    adam: adam(options, 0),
    clipGradNorm: null,
    sparsity: l1(options, false),
    auxDecoder: "fixed",
  }),
  GatedAnnealTrainer: (options) => ({
    architecture: "gated",
    ...schedule(options, 3e-4),
    ...constrained,
    ...normalInit(1),
    adam: adam(options, 0),
    clipGradNorm: null,
    sparsity: pAnneal(options, "Lp^p"),
    auxDecoder: "fixed",
    ...resampling(options, resampleSteps(options) - 1),
  }),
  TopKTrainer: (options) => ({ architecture: "topk", ...topkFamily(options) }),
  BatchTopKTrainer: (options) => ({ architecture: "batchtopk", ...topkFamily(options) }),
  MatryoshkaBatchTopKTrainer: (options) => ({
    architecture: "matryoshka",
    ...topkFamily(options),
    ...groups(options),
  }),
  JumpReluTrainer: (options) => ({
    architecture: "jumprelu",
    ...schedule(options, 7e-5),
    ...projected,
    ...uniformInit(1),
    adam: adam(options, 0),
    applyBDecToInput: false,
    bandwidth: options.number("bandwidth", 0.001),
    initThreshold: 0.001,
    clampThreshold: false,
    l0Of: "acts",
    sparsity: {
      kind: "target_ratio",
      coefficient: options.number("sparsity_penalty", 1),
      warmUpSteps: warmUp(options),
      targetL0: options.number("target_l0", 20),
    },
    dead: deadByTokens(options, false),
  }),
};

/** `ConstrainedAdam`. */
const constrained = { decoder: { kind: "unit" } } as const;

/** `remove_gradient_parallel_to_decoder_directions` and `set_decoder_norm_to_unit_norm`, with float32's epsilon. */
const projected = { decoder: { kind: "unit", gradientEps: 1e-6, normEps: 2 ** -23 } } as const;

function normalInit(decoderNorm: number) {
  return { init: { distribution: "normal", decoderNorm } };
}

function uniformInit(decoderNorm: number) {
  return { init: { distribution: "uniform", decoderNorm } };
}

function common(options: ForeignOptions) {
  options.ignore("device", "wandb_name", "group_sizes");
  const name = options.string("dict_class", "AutoEncoder");
  if (!dictClasses.includes(name))
    throw options.wrong("dict_class", `one of ${dictClasses.join(", ")}`);
  const after = options.object("set_after_construction");
  after.ignore("dead_feature_threshold");
  after.done();
  checkOptimizer(options);
  return {
    d_in: options.number("activation_dim"),
    d_sae: options.number("dict_size"),
    steps: options.number("steps"),
    seed: options.maybeNumber("seed") ?? 0,
    adam: adam(options, 0.9),
    // The only class without b_dec at its input, apart from JumpReLU's.
    applyBDecToInput: name !== "AutoEncoderNew",
    dead: deadByTokens(options, true),
    metadata: {
      ...(options.has("lm_name") ? { model_name: options.string("lm_name") } : {}),
      ...dictionaryLearningHook(options),
    },
  };
}

const dictClasses: readonly string[] = [
  "AutoEncoder",
  "AutoEncoderNew",
  "GatedAutoEncoder",
  "AutoEncoderTopK",
  "BatchTopKSAE",
  "MatryoshkaBatchTopKSAE",
  "JumpReluAutoEncoder",
];

/** What a description of a run may state beside; each trainer has one optimiser. */
function checkOptimizer(options: ForeignOptions): void {
  const name = options.string("optimizer", "Adam");
  if (name !== "Adam" && name !== "ConstrainedAdam")
    throw unsupportedOption(options.place("optimizer"), 'expected "Adam" or "ConstrainedAdam"');
}

function adam(options: ForeignOptions, beta1: number) {
  const betas = options.maybeNumbers("betas") ?? [beta1, 0.999];
  if (betas.length !== 2) throw options.wrong("betas", "two numbers");
  return { beta1: betas[0], beta2: betas[1], eps: options.number("eps", 1e-8) };
}

/** `get_lr_schedule`, and the rate where a trainer has a default of its own. */
function schedule(options: ForeignOptions, lr: number) {
  return {
    lr: options.maybeNumber("lr") ?? lr,
    lrSchedule: {
      kind: "trapezoid",
      warmUpSteps: options.number("warmup_steps", 1000),
      decayStart: options.maybeNumber("decay_start"),
      restartEvery: options.maybeNumber("resample_steps"),
    },
  };
}

function l1(options: ForeignOptions, byDecoderNorm: boolean) {
  return {
    kind: "l1",
    coefficient: options.number("l1_penalty", 0.1),
    warmUpSteps: warmUp(options),
    p: 1,
    byDecoderNorm,
  };
}

/** Its default is 2000; null means none. */
function warmUp(options: ForeignOptions): number {
  return options.value("sparsity_warmup_steps") === undefined
    ? 2000
    : (options.maybeNumber("sparsity_warmup_steps") ?? 0);
}

/** `sparsity_penalty` is what the coefficient came to when the config was written; `initial_sparsity_penalty` is asked for first. */
function pAnneal(options: ForeignOptions, defaultFunction: string) {
  options.ignore("sparsity_penalty");
  const updates = options.value("n_sparsity_updates") === "continuous";
  return {
    kind: "p_anneal",
    coefficient: options.number("initial_sparsity_penalty", 0.1),
    warmUpSteps: warmUp(options),
    function: options.string("sparsity_function", defaultFunction),
    pStart: options.number("p_start", 1),
    pEnd: options.number("p_end", 0),
    annealStart: options.number("anneal_start", 15_000),
    annealEnd: options.maybeNumber("anneal_end"),
    updates: updates ? null : options.number("n_sparsity_updates", 10),
    queueLength: options.number("sparsity_queue_length", 10),
  };
}

function resampleSteps(options: ForeignOptions): number {
  return options.maybeNumber("resample_steps") ?? 0;
}

/** A latent is dead after half of `resample_steps`. */
function resampling(options: ForeignOptions, first: number) {
  const every = resampleSteps(options);
  if (every === 0) return {};
  return {
    resample: { every, first },
    dead: { after: Math.floor(every / 2), unit: "steps", inclusive: false, counted: "after_step" },
  };
}

function deadByTokens(options: ForeignOptions, inclusive: boolean) {
  const changed = options.object("set_after_construction").maybeNumber("dead_feature_threshold");
  const after = changed ?? options.number("dead_feature_threshold", 10_000_000);
  return { after, unit: "tokens", inclusive, counted: "after_step" };
}

function topkFamily(options: ForeignOptions) {
  const scale = options.number("dict_size") / 2 ** 14;
  const coefficient = options.number("auxk_alpha", 1 / 32);
  return {
    ...schedule(options, 2e-4 / Math.sqrt(scale)),
    ...projected,
    init: { distribution: "uniform", decoderNorm: 1, b_dec: "geometric_median" },
    k: options.number("k"),
    rescaleActsByDecoderNorm: false,
    aux: {
      coefficient,
      k: options.maybeNumber("top_k_aux"),
      acts: "relu",
      scaleByDead: false,
      perVariance: true,
    },
    thresholdAverage: {
      rate: 1 - options.number("threshold_beta", 0.999),
      startStep: options.number("threshold_start_step", 1000),
      from: "first",
    },
  };
}

/** Levels from `group_fractions`; the loss is the mean over levels of `group_weights` times their errors. */
function groups(options: ForeignOptions) {
  const fractions = options.maybeNumbers("group_fractions");
  if (fractions === null || fractions.length === 0)
    throw options.wrong("group_fractions", "a list of numbers that sum to 1");
  const d_sae = options.number("dict_size");
  let end = 0;
  const widths = fractions.map((fraction, at) =>
    at === fractions.length - 1 ? d_sae : (end += Math.trunc(fraction * d_sae)),
  );
  const n = widths.length;
  const weights = options.maybeNumbers("group_weights") ?? widths.map(() => 1 / n);
  return { widths, weights: weights.map((weight) => weight / n) };
}
