/** What is known of an SAE apart from its weights, in one form whatever the format. */

/** What happens to x before anything else, and is undone after decoding. Names as in SAELens@6 `normalize_activations`. */
export type Normalization =
  | { readonly kind: "none" }
  /** x is multiplied by `factor`, x_hat divided by it: a folded `expected_average_only_in`, or `constant_scalar_rescale`. */
  | { readonly kind: "scale"; readonly factor: number }
  /** x·√d_in/||x||, undone with the same factor. */
  | { readonly kind: "constant_norm_rescale" }
  /** (x − mean)/(std + 1e-5) with the unbiased standard deviation, undone by x_hat·std + mean. */
  | { readonly kind: "layer_norm" };

/** Facts of one SAE. */
export interface SaeConfig {
  /** Key of `architectures`. */
  readonly architecture: string;
  readonly d_in: number;
  /** Equal to `d_in` but for transcoders. */
  readonly d_out: number;
  readonly d_sae: number;
  /** As TransformerLens prints it; a meta-SAE has its parent's name here. */
  readonly hook: string;
  /** Hook point that a transcoder predicts. */
  readonly hookOut?: string;
  /** The language model's name as the file gives it. */
  readonly model?: string;
  readonly prependBos: boolean;
  readonly n_ctx?: number;
  /** Set for a meta-SAE, which reads unit-norm decoder rows of the SAE of this name. */
  readonly metaOf?: string;
  readonly normalization: Normalization;
  /** Whether b_dec is subtracted from the (normalised) input. */
  readonly applyBDecToInput: boolean;
  /** Active latents per token where the architecture fixes them. */
  readonly k?: number;
  /** Ends of the nested groups of a Matryoshka SAE, ascending; the last is d_sae. */
  readonly groups?: readonly number[];
  /** The SAE must be given whole sequences from position 0, one per call. */
  readonly wholeSequences?: boolean;
  /** Numbers and words that only one architecture understands. */
  readonly options: Readonly<Record<string, number | string | boolean>>;
  /** What the files claim: k, l0, model, …; shown beside what was measured. */
  readonly declared: Readonly<Record<string, number | string>>;
  /** Element type of the stored weights. */
  readonly dtypeNote: string;
}
