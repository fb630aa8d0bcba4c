/**
 * SAELens's training configs: `sae_cfg` (a TrainingSAEConfig with its architecture) and `trainer_cfg` (an SAETrainerConfig).
 *
 * sae-lens@6.54 saes/*_sae.py, config.py, training/sae_trainer.py. Defaults for what is left out are the library's.
 */
import { type TrainConfig, parseTrainConfig } from "./config.ts";
import { unsupportedOption } from "./errors.ts";
import { ForeignOptions } from "./foreign-options.ts";

/** Reads a config of SAELens. An option that it does not know is an error that names it. */
export function importSaeLens(value: unknown, where = "the SAELens config"): TrainConfig {
  const all = new ForeignOptions(value, where);
  const sae = all.object("sae_cfg");
  const trainer = all.object("trainer_cfg");
  const architecture = sae.string("architecture");
  const read = architectures[architecture];
  if (!read) throw sae.wrong("architecture", `one of ${Object.keys(architectures).join(", ")}`);
  checkNumberType(sae, trainer);
  const config = {
    ...common(all, sae, trainer),
    ...read(sae),
  };
  for (const options of [sae, trainer, all]) options.done();
  return parseTrainConfig(config, where);
}

type Reader = (sae: ForeignOptions) => Record<string, unknown>;

const architectures: Readonly<Record<string, Reader>> = {
  standard: (sae) => ({
    architecture: "standard",
    sparsity: { ...l1(sae), p: sae.number("lp_norm", 1) },
  }),
  gated: (sae) => ({ architecture: "gated", sparsity: l1(sae), auxDecoder: "trained" }),
  topk: (sae) => ({ architecture: "topk", k: sae.number("k", 100), ...topkFamily(sae) }),
  abstopk: (sae) => ({ architecture: "abstopk", k: sae.number("k", 100), ...topkFamily(sae) }),
  batchtopk: (sae) => ({ architecture: "batchtopk", ...batchtopk(sae, false) }),
  matryoshka_batchtopk: (sae) => {
    const widths = sae.maybeNumbers("matryoshka_widths") ?? [];
    const d_sae = sae.number("d_sae");
    return {
      architecture: "matryoshka",
      ...batchtopk(sae, sae.boolean("use_matryoshka_aux_loss", false)),
      // SAELens adds the whole width where it is left out.
      widths: widths.at(-1) === d_sae ? widths : [...widths, d_sae],
    };
  },
  jumprelu: (sae) => ({
    architecture: "jumprelu",
    sparsity: jumpreluSparsity(sae),
    initThreshold: sae.number("jumprelu_init_threshold", 0.01),
    bandwidth: sae.number("jumprelu_bandwidth", 0.05),
    steToInput: sae.boolean("jumprelu_ste_to_input", false),
    preActCoefficient: sae.maybeNumber("pre_act_loss_coefficient"),
    clampThreshold: true,
    l0Of: "preActs",
  }),
};

function l1(sae: ForeignOptions) {
  return {
    kind: "l1",
    coefficient: sae.number("l1_coefficient", 1),
    warmUpSteps: sae.number("l1_warm_up_steps", 0),
    byDecoderNorm: true,
  };
}

function topkFamily(sae: ForeignOptions, perLevel = false) {
  // Sparse tensors hold the same numbers.
  sae.ignore("use_sparse_activations");
  return {
    rescaleActsByDecoderNorm: sae.boolean("rescale_acts_by_decoder_norm", true),
    aux: {
      coefficient: sae.number("aux_loss_coefficient", 1),
      acts: "preActs",
      scaleByDead: true,
      perVariance: false,
      perLevel,
    },
  };
}

function batchtopk(sae: ForeignOptions, perLevel: boolean) {
  return {
    k: sae.number("k", 100),
    ...topkFamily(sae, perLevel),
    thresholdAverage: { rate: sae.number("topk_threshold_lr", 0.01), startStep: -1, from: "zero" },
  };
}

function jumpreluSparsity(sae: ForeignOptions) {
  const kind = sae.string("jumprelu_sparsity_loss_mode", "step");
  const scale = sae.number("jumprelu_tanh_scale", 4);
  const targetL0 = sae.maybeNumber("target_l0");
  return {
    kind,
    coefficient: sae.number("l0_coefficient", 1),
    warmUpSteps: sae.number("l0_warm_up_steps", 0),
    ...(kind === "tanh" ? { scale } : {}),
    ...(kind === "quadratic" ? { targetL0 } : {}),
  };
}

/** Options of every architecture. */
function common(all: ForeignOptions, sae: ForeignOptions, trainer: ForeignOptions) {
  // Runs, not trainers, save, log and read data.
  trainer.ignore("feature_sampling_window", "n_checkpoints", "checkpoint_path");
  trainer.ignore("save_final_checkpoint", "logger", "device");
  sae.ignore("device");
  if (sae.string("reshape_activations", "none") !== "none")
    throw unsupportedOption(
      sae.place("reshape_activations"),
      'give activations as rows of width d_in and set it to "none"',
    );
  const rows = trainer.number("train_batch_size_samples");
  return {
    d_in: sae.number("d_in"),
    d_sae: sae.number("d_sae"),
    applyBDecToInput: sae.boolean("apply_b_dec_to_input", true),
    steps: Math.floor(trainer.number("total_training_samples") / rows),
    ...optimiser(all, trainer),
    decoder: { kind: "free" },
    normalizeActivations: normalization(all, sae, trainer),
    init: {
      distribution: "uniform",
      decoderNorm:
        sae.value("decoder_init_norm") === undefined ? 0.1 : sae.maybeNumber("decoder_init_norm"),
    },
    dead: {
      after: trainer.number("dead_feature_window", 1000),
      unit: "steps",
      inclusive: false,
      counted: "before_step",
    },
    metadata: sae.value("metadata") ?? {},
  };
}

function optimiser(all: ForeignOptions, trainer: ForeignOptions) {
  // What these say is fixed in the library; a description of a run may state it.
  all.ignore("inference_architecture");
  const optimizer = all.string("optimizer", "Adam eps 1e-8");
  const eps = Number(/^Adam(?: eps (\S+))?$/.exec(optimizer)?.[1] ?? Number.NaN);
  if (!(eps > 0)) throw unsupportedOption(all.place("optimizer"), 'expected "Adam eps 1e-8"');
  if (all.string("decoder_constraint", "none") !== "none")
    throw unsupportedOption(all.place("decoder_constraint"), "SAELens has none");
  return {
    lr: trainer.number("lr", 3e-4),
    lrSchedule: {
      kind: "chained",
      main: trainer.string("lr_scheduler_name", "constant").toLowerCase(),
      warmUpSteps: trainer.number("lr_warm_up_steps", 0),
      decaySteps: trainer.number("lr_decay_steps", 0),
      lrEnd: trainer.maybeNumber("lr_end"),
      cycles: trainer.number("n_restart_cycles", 1),
    },
    adam: {
      beta1: trainer.number("adam_beta1", 0.9),
      beta2: trainer.number("adam_beta2", 0.999),
      eps,
    },
    clipGradNorm: all.value("clip_grad_norm") === undefined ? 1 : all.maybeNumber("clip_grad_norm"),
  };
}

function normalization(all: ForeignOptions, sae: ForeignOptions, trainer: ForeignOptions) {
  const batches = trainer.number("n_batches_for_norm_estimate", 1000);
  const factor = all.maybeNumber("scaling_factor");
  const kind = sae.string("normalize_activations", "none");
  if (kind === "expected_average_only_in")
    return { kind: "scale", factor, unit: "root_d_in", batches, fold: "weights" };
  return kind === "covariance_whitening" ? { kind, batches } : { kind };
}

/** Only single precision reproduces the library's single precision. */
function checkNumberType(sae: ForeignOptions, trainer: ForeignOptions): void {
  if (sae.string("dtype", "float32") !== "float32")
    throw unsupportedOption(sae.place("dtype"), 'parameters are trained in "float32"');
  if (trainer.boolean("autocast", false))
    throw unsupportedOption(
      trainer.place("autocast"),
      "parameters are trained in float32; set it to false",
    );
}
