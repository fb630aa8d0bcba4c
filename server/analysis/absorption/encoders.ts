/** How single latents read: direction, bias and threshold by which a latent's pre-activation is had without running the SAE. */
import { architectureOf } from "../../sae/architectures/index.ts";
import type { Sae } from "../../sae/sae.ts";

/** preAct = x · direction + bias, x as the hook point has it; the latent fires where that is above the threshold. */
export interface LatentEncoder {
  readonly latent: number;
  /** `[d_in]` */
  readonly direction: Float32Array;
  readonly bias: number;
  /** Absent where the k largest fire, whatever their size. */
  readonly threshold?: number;
}

/** Encoders of some latents; undefined for an SAE whose latents cannot be read one by one. */
export function latentEncoders(
  { config, description }: Sae,
  latents: readonly number[],
): readonly LatentEncoder[] | undefined {
  const { parameters } = description;
  const vector = (name: string): Float32Array | undefined => parameters.get(name)?.readFloat32();
  const per = architectureOf(config).perLatent?.(vector);
  const { kind } = config.normalization;
  const W_enc = vector("W_enc");
  if (!per || !W_enc || (kind !== "none" && kind !== "scale")) return undefined;
  const factor = config.normalization.kind === "scale" ? config.normalization.factor : 1;
  const { d_in, d_sae } = config;
  const b_dec = config.applyBDecToInput ? vector("b_dec") : undefined;
  const preScale = vector("preScale");
  return latents.map((latent) => {
    const gain = (per.gain?.[latent] ?? 1) * (preScale?.[latent] ?? 1);
    const direction = new Float32Array(d_in);
    let bias = per.bias[latent]! * (preScale?.[latent] ?? 1);
    for (let at = 0; at < d_in; at++) {
      const weight = W_enc[at * d_sae + latent]! * gain;
      direction[at] = weight * factor;
      bias -= (b_dec?.[at] ?? 0) * weight;
    }
    const threshold = per.threshold === "measured" ? undefined : per.threshold[latent]!;
    return { latent, direction, bias, ...(threshold === undefined ? {} : { threshold }) };
  });
}
