/**
 * The evals room: how good an SAE is, measured on tokens, under the names and by the definitions of SAEBench@0.6.0 (Karvonen et
 * al. 2025, arXiv:2503.09532), so that figures can be laid beside published ones. Where a definition there is odd, the right
 * figure stands beside it under a name of its own. This room is given models, SAEs and tokens; it reads no corpora and
 * prints nothing. Start with `core/evaluate.ts`.
 */

/** SAEBench's `core` metrics, with its keys: what its JSON has under `eval_result_metrics`. */
export interface CoreMetrics {
  /** Absent where the hook point's activation cannot be replaced in the model. */
  readonly model_behavior_preservation?: BehaviorPreservation;
  readonly model_performance_preservation?: PerformancePreservation;
  readonly reconstruction_quality: ReconstructionQuality;
  readonly shrinkage: Shrinkage;
  readonly sparsity: Sparsity;
  readonly token_stats: TokenStats;
  readonly misc_metrics: MiscMetrics;
}

/** Divergence of next-token distributions, mean over all tokens, in nats. */
export interface BehaviorPreservation {
  /** (with ablation − with SAE) / with ablation */
  readonly kl_div_score: number;
  /** KL(clean ‖ hook point set to zero). */
  readonly kl_div_with_ablation: number;
  /** KL(clean ‖ hook point replaced by the reconstruction). */
  readonly kl_div_with_sae: number;
}

/** Next-token losses, mean over all tokens but the last of each prompt, in nats. */
export interface PerformancePreservation {
  /** (with ablation − with SAE) / (with ablation − without SAE) */
  readonly ce_loss_score: number;
  readonly ce_loss_with_ablation: number;
  readonly ce_loss_with_sae: number;
  readonly ce_loss_without_sae: number;
}

/** How near x̂ is to x. */
export interface ReconstructionQuality {
  /**
   * As sae-bench computes it: 1 − R/V with R the mean over batches of mean ‖x − x̂‖² and V = mean ‖x‖² − m², where m is the mean
   * of all x_d². SAELens has since put the mean of x_d in its place; `figures.explainedVariance` is that.
   */
  readonly explained_variance: number;
  /** Mean over tokens of 1 − ‖x − x̂‖² / ‖x − mean of the batch‖². */
  readonly explained_variance_legacy: number;
  /** ‖x − x̂‖² / number of tokens of its batch, mean over tokens: smaller for larger batches. */
  readonly mse: number;
  readonly cossim: number;
}

/** Lengths of x and x̂. */
export interface Shrinkage {
  readonly l2_norm_in: number;
  readonly l2_norm_out: number;
  readonly l2_ratio: number;
  /** mean ‖x̂‖² / mean x·x̂ of a batch, mean over batches. Rajamanoharan et al. 2024, arXiv:2404.16014, equation 10. */
  readonly relative_reconstruction_bias: number;
}

/** Number and sum of a token's active latents. */
export interface Sparsity {
  readonly l0: number;
  readonly l1: number;
}

/** Tokens behind the figures. */
export interface TokenStats {
  readonly total_tokens_eval_reconstruction: number;
  readonly total_tokens_eval_sparsity_variance: number;
}

/** Densities and directions of all latents. */
export interface MiscMetrics {
  /** Share of latents that are active on more than 1 % of tokens. */
  readonly freq_over_1_percent: number;
  readonly freq_over_10_percent: number;
  /** Share of all activity that is theirs. */
  readonly normalized_freq_over_1_percent: number;
  readonly normalized_freq_over_10_percent: number;
  /** Absent where directions were not compared. */
  readonly average_max_encoder_cosine_sim?: number;
  readonly average_max_decoder_cosine_sim?: number;
  /** Share of latents that were active at all. */
  readonly frac_alive: number;
}

/** The right figures where SAEBench's are odd; tokens weigh alike, whatever their batch. */
export interface OwnFigures {
  /** 1 − Σ‖x − x̂‖² / Σ‖x − mean of all tokens‖² */
  readonly explainedVariance: number;
  /** Fraction of variance unexplained: 1 − explainedVariance. */
  readonly fvu: number;
  /** Mean over tokens of ‖x − x̂‖². */
  readonly squaredError: number;
  /** Share of latents that were never active. */
  readonly dead: number;
}
