/** The SAE that training was for, in SAELens's format: tensors and the value of cfg.json. */
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { ActivationNormalization, FoldedParts } from "./activation-normalization.ts";
import type { CommonConfig } from "./common-config.ts";
import type { FinishedKind } from "./form.ts";
import { transposed } from "./parameters.ts";

/** What is written as `sae_weights.safetensors` and `cfg.json`. */
export interface FinishedSae {
  readonly tensors: Map<string, Tensor<"float32">>;
  readonly cfg: Readonly<Record<string, unknown>>;
}

/** Version of SAELens whose format this is. */
const saeLensVersion = "6.54.12";

/** What becomes of trained parameters (outer orientation) and a trained threshold. */
export function finishSae(
  trained: FoldedParts,
  kind: FinishedKind,
  run: {
    readonly config: CommonConfig & { readonly architecture: string };
    readonly normalization: ActivationNormalization;
  },
): FinishedSae {
  const { config, normalization } = run;
  const { applyBDecToInput } = config;
  const parts = untied(trained);
  // The norms by which latents were selected must be folded while they are still the same.
  const first = kind.rescaled === true && normalization.changesNorms;
  const rescaled = kind.rescaled === true && !first;
  const normed = first ? { ...parts, parameters: foldDecoderNorms(parts.parameters) } : parts;
  const raw = normalization.fold(normed, { applyBDecToInput, rescaled });
  const tensors = rescaled ? foldDecoderNorms(raw.parameters) : new Map(raw.parameters);
  if (kind.spreadThreshold) {
    const values = new Float32Array(config.d_sae).fill(raw.threshold ?? 0);
    tensors.set("threshold", tensor("float32", [config.d_sae], values));
  }
  const options = first ? { ...kind.options, rescale_acts_by_decoder_norm: false } : kind.options;
  return {
    tensors,
    cfg: cfgOf({ ...kind, options: options ?? {} }, config, normalization.remaining),
  };
}

/** W_enc of its own where it was the transposed W_dec. */
function untied(trained: FoldedParts): FoldedParts {
  const { parameters } = trained;
  if (parameters.has("W_enc")) return trained;
  const { dims, data } = parameters.get("W_dec")!;
  return { ...trained, parameters: new Map([...parameters, ["W_enc", transposed(data, dims)]]) };
}

/**
 * Rows of W_dec scaled to norm 1, and W_enc and b_enc by the norms, so that activations are in the units in which they
 * were selected. sae-lens@6.54 saes/topk_sae.py `_fold_norm_topk`.
 */
function foldDecoderNorms(
  parameters: ReadonlyMap<string, Tensor<"float32">>,
): Map<string, Tensor<"float32">> {
  const [W_dec, W_enc, b_enc] = ["W_dec", "W_enc", "b_enc"].map((name) =>
    parameters.get(name)!,
  ) as [Tensor<"float32">, Tensor<"float32">, Tensor<"float32">];
  const [d_sae = 0, width = 0] = W_dec.dims;
  const norms = Float32Array.from({ length: d_sae }, (_, latent) => {
    let squares = 0;
    for (let at = latent * width; at < (latent + 1) * width; at++) squares += W_dec.data[at]! ** 2;
    return Math.max(Math.sqrt(squares), 1e-8);
  });
  return new Map([
    ...parameters,
    ["W_dec", mapped(W_dec, (it, at) => it / norms[Math.floor(at / width)]!)],
    ["W_enc", mapped(W_enc, (it, at) => it * norms[at % d_sae]!)],
    ["b_enc", mapped(b_enc, (it, at) => it * norms[at]!)],
  ]);
}

function mapped(
  { dims, data }: Tensor<"float32">,
  value: (it: number, at: number) => number,
): Tensor<"float32"> {
  return tensor("float32", dims, data.map(value));
}

function cfgOf(
  kind: FinishedKind,
  config: CommonConfig & { readonly architecture: string },
  normalizeActivations: string,
): Record<string, unknown> {
  const { d_in, d_out, d_sae, applyBDecToInput, metadata, ...training } = config;
  return {
    architecture: kind.architecture,
    d_in,
    d_sae,
    ...(d_out === null ? {} : { d_out }),
    dtype: "float32",
    device: "cpu",
    apply_b_dec_to_input: applyBDecToInput,
    normalize_activations: normalizeActivations,
    reshape_activations: "none",
    ...kind.options,
    metadata: {
      sae_lens_version: saeLensVersion,
      sae_lens_training_version: null,
      ...metadata,
      training_architecture: config.architecture,
      training_architecture_details: training,
    },
  };
}
