/**
 * SAEs whose latents need nothing of their SAE: each has its own encoder column, bias, threshold and decoder row, in the units
 * of the activations themselves. Latents of two SAEs in this form can be put together. Leask et al. 2025, arXiv:2502.04878,
 * section 4: b_enc' = b_enc − b_dec·W_enc of the SAE that a latent comes from.
 */
import { architectureOf } from "../../sae/architectures/index.ts";
import type { SaeConfig } from "../../sae/config.ts";
import { describeInMemory } from "../../sae/in-memory.ts";
import type { SaeDescription } from "../../sae/load.ts";
import type { Sae } from "../../sae/sae.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { cannotBeStitched, needsSample } from "../errors.ts";

/** x_hat = Σ act·W_dec + b_dec with act = preAct = x·W_enc + b_enc where that is above the threshold, else 0. */
export interface SelfContained {
  readonly d_in: number;
  readonly d_sae: number;
  /** `[d_in, d_sae]` */
  readonly W_enc: Float32Array<ArrayBuffer>;
  /** `[d_sae]` */
  readonly b_enc: Float32Array<ArrayBuffer>;
  /** `[d_sae]`, none negative. */
  readonly threshold: Float32Array<ArrayBuffer>;
  /** `[d_sae, d_in]` */
  readonly W_dec: Float32Array<ArrayBuffer>;
  /** `[d_in]` */
  readonly b_dec: Float32Array<ArrayBuffer>;
  /** What had to be replaced by something that is not quite the same. */
  readonly notes: readonly string[];
}

/**
 * Brings an SAE into this form, or throws a `UserError` that says why its latents cannot be taken apart.
 *
 * A TopK SAE gets one threshold for all latents: the mean over tokens of the smallest activation that it keeps, measured on
 * `sample [tokens, d_in]`; so dictionary_learning@0.1.0 trainers/top_k.py does it.
 */
export async function selfContained(
  { id, sae }: { readonly id: string; readonly sae: Sae },
  sample?: Tensor<"float32">,
  signal?: AbortSignal,
): Promise<SelfContained> {
  const { config } = sae;
  const { parameters } = sae.description;
  const vector = (name: string): Float32Array | undefined => parameters.get(name)?.readFloat32();
  const architecture = architectureOf(config);
  const per = architecture.perLatent?.(vector);
  const { restoresNorm } = architecture;
  const reaches = { per: per !== undefined, predicts: !restoresNorm || "skip" in architecture };
  const reason = reasonAgainst(config, reaches);
  if (!per || reason !== undefined) throw cannotBeStitched(id, reason ?? "");
  const { d_in, d_sae } = config;
  const factor = config.normalization.kind === "scale" ? config.normalization.factor : 1;
  const b_dec = vector("b_dec")!;
  const preScale = vector("preScale");
  const W_enc = Float32Array.from(vector("W_enc")!);
  const shift = new Float64Array(d_sae);
  for (let at = 0; at < d_in; at++) {
    const less = config.applyBDecToInput ? b_dec[at]! : 0;
    for (let latent = 0; latent < d_sae; latent++) {
      const weight = W_enc[at * d_sae + latent]! * (per.gain?.[latent] ?? 1);
      shift[latent]! += less * weight;
      W_enc[at * d_sae + latent] = weight * factor * (preScale?.[latent] ?? 1);
    }
  }
  const b_enc = Float32Array.from(
    per.bias,
    (bias, latent) => (bias - shift[latent]!) * (preScale?.[latent] ?? 1),
  );
  const notes: string[] = [];
  const threshold =
    per.threshold === "measured"
      ? await measured({ id, sae }, { sample, notes, signal })
      : Float32Array.from(per.threshold);
  const all = Array.from({ length: d_sae }, (_, latent) => latent);
  const W_dec = Float32Array.from(sae.decoderRows(all));
  const output = architecture.addsBDec(config)
    ? b_dec.map((it) => it / factor)
    : new Float32Array(d_in);
  return { d_in, d_sae, W_enc, b_enc, threshold, W_dec, b_dec: Float32Array.from(output), notes };
}

/** As a description that `openSae` takes; `base` says what else is to be known of the SAE. */
export function describeSelfContained(
  name: string,
  base: SaeConfig,
  parts: SelfContained,
): SaeDescription {
  const { k: _, groups: __, ...rest } = base;
  const config: SaeConfig = {
    ...rest,
    architecture: "jumprelu",
    d_sae: parts.d_sae,
    normalization: { kind: "none" },
    applyBDecToInput: false,
    options: {},
    declared: {},
    dtypeNote: "float32",
  };
  return describeInMemory(name, config, tensorsOf(parts));
}

/** The parameters by their names in SAELens's JumpReLU SAEs. */
export function tensorsOf(parts: SelfContained): Map<string, Tensor<"float32">> {
  const { d_in, d_sae, W_enc, b_enc, threshold, W_dec, b_dec } = parts;
  return new Map([
    ["W_enc", tensor("float32", [d_in, d_sae], W_enc)],
    ["b_enc", tensor("float32", [d_sae], b_enc)],
    ["threshold", tensor("float32", [d_sae], threshold)],
    ["W_dec", tensor("float32", [d_sae, d_in], W_dec)],
    ["b_dec", tensor("float32", [d_in], b_dec)],
  ]);
}

function reasonAgainst(
  { architecture, normalization, metaOf }: SaeConfig,
  { per, predicts }: { per: boolean; predicts: boolean },
): string | undefined {
  if (metaOf !== undefined) return "it is a meta-SAE and reads no activations";
  if (predicts) return "it predicts another hook point than it reads";
  if (!per)
    return `in the architecture ${architecture} a latent's activation depends on the other latents`;
  if (normalization.kind === "none" || normalization.kind === "scale") return undefined;
  return `its input is normalised token by token (${normalization.kind}), which no latent's weights can hold`;
}

async function measured(
  { id, sae }: { readonly id: string; readonly sae: Sae },
  how: {
    readonly sample: Tensor<"float32"> | undefined;
    readonly notes: string[];
    readonly signal: AbortSignal | undefined;
  },
): Promise<Float32Array<ArrayBuffer>> {
  if (!how.sample) throw needsSample(id);
  const { offsets, acts } = await sae.encode(how.sample, how.signal);
  let sum = 0;
  let rows = 0;
  for (let row = 0; row + 1 < offsets.length; row++) {
    if (offsets[row + 1] === offsets[row]) continue;
    sum += acts[offsets[row + 1]! - 1]!;
    rows++;
  }
  const value = rows === 0 ? 0 : sum / rows;
  how.notes.push(
    `${id} keeps the k largest latents of a token; here all have the threshold ${value.toPrecision(4)}, the mean over ${rows} tokens of the smallest activation kept`,
  );
  return new Float32Array(sae.config.d_sae).fill(value);
}
