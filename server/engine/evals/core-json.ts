/** A core evaluation as SAEBench@0.6.0 writes it: `evals/core/eval_output.py`, one object with its keys in its order. */
import { randomUUID } from "node:crypto";
import type { CoreResult } from "../../evals/core/evaluate.ts";
import type { SaeConfig } from "../../sae/config.ts";

/** What the evaluation was made of, for `eval_config`. */
export interface CoreSettings {
  readonly lm: string;
  readonly sae: string;
  readonly dataset: string;
  readonly config: SaeConfig;
  readonly batch: number;
  readonly reconstructionBatches: number;
  readonly varianceBatches: number;
  readonly contextSize: number;
  readonly ignoreSpecial: boolean;
  readonly program: string;
}

/**
 * The object. A figure that is no number is −1, as there. `eval_result_unstructured.latent_workbench` has the figures that are
 * ours, with notes about what was not measured.
 */
export function coreJson(result: CoreResult, settings: CoreSettings): Record<string, unknown> {
  const { metrics, own, notes } = result;
  const json = {
    eval_type_id: "core",
    eval_config: evalConfig(result, settings),
    eval_id: randomUUID(),
    datetime_epoch_millis: Date.now(),
    eval_result_metrics: metrics,
    eval_result_details: detailsOf(result),
    eval_result_unstructured: {
      latent_workbench: {
        explained_variance: own.explainedVariance,
        fvu: own.fvu,
        squared_error: own.squaredError,
        dead: own.dead,
        notes,
      },
    },
    sae_bench_commit_hash: "sae-bench 0.6.0's definitions, not its code",
    sae_lens_id: settings.sae,
    sae_lens_release_id: settings.program,
    sae_lens_version: "none",
    sae_cfg_dict: saeConfig(settings),
  };
  return finite(json) as Record<string, unknown>;
}

function evalConfig(
  { metrics, directions }: CoreResult,
  settings: CoreSettings,
): Record<string, unknown> {
  const compared = metrics.model_behavior_preservation !== undefined;
  return {
    model_name: settings.lm,
    llm_dtype: "float32",
    batch_size_prompts: settings.batch,
    n_eval_reconstruction_batches: settings.reconstructionBatches,
    n_eval_sparsity_variance_batches: settings.varianceBatches,
    dataset: settings.dataset,
    context_size: settings.contextSize,
    compute_kl: compared,
    compute_ce_loss: compared,
    compute_l2_norms: true,
    compute_sparsity_metrics: true,
    compute_variance_metrics: true,
    compute_featurewise_density_statistics: true,
    compute_featurewise_weight_based_metrics: directions !== undefined,
    exclude_special_tokens_from_reconstruction: settings.ignoreSpecial,
    verbose: false,
  };
}

function detailsOf({ activity, directions }: CoreResult): Record<string, number>[] {
  return Array.from(activity.density, (feature_density, index) => ({
    index,
    feature_density,
    consistent_activation_heuristic: activity.perPrompt[index]!,
    ...(directions && {
      encoder_bias: directions.encoderBias[index]!,
      encoder_norm: directions.encoderNorm[index]!,
      encoder_decoder_cosine_sim: directions.encoderDecoderCosine[index]!,
      max_decoder_cosine_sim: directions.maxDecoderCosine[index]!,
      max_encoder_cosine_sim: directions.maxEncoderCosine[index]!,
    }),
  }));
}

/** The SAE's facts under SAELens's names. */
function saeConfig({ config, lm }: CoreSettings): Record<string, unknown> {
  return {
    architecture: config.architecture,
    d_in: config.d_in,
    d_sae: config.d_sae,
    dtype: config.dtypeNote,
    apply_b_dec_to_input: config.applyBDecToInput,
    normalize_activations: config.normalization.kind,
    model_name: config.model ?? lm,
    hook_name: config.hook,
    ...(config.hookOut === undefined ? {} : { hook_name_out: config.hookOut }),
    prepend_bos: config.prependBos,
    ...(config.n_ctx === undefined ? {} : { context_size: config.n_ctx }),
    ...(config.k === undefined ? {} : { k: config.k }),
  };
}

/** JSON has no NaN; sae-bench writes −1 for it. */
function finite(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : -1;
  if (Array.isArray(value)) return value.map(finite);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, finite(it)]));
}
