/**
 * Attribution handed on from latents to their meta-latents. A latent's decoder row is
 * ‖W_dec_i‖ · (Σ_j m_ij · u_j + rest) with the meta-latents' activations m and decoder rows u; the attribution is linear in the row, so
 * each meta-latent gets ‖W_dec_i‖ · acts_i · m_ij · ⟨gradient, u_j⟩ of it, and the rest keeps what is left.
 */
import type { Sae } from "../../sae/sae.ts";
import { metaParts } from "../meta/parts.ts";
import type { Attribution, SplicedText } from "./attribute.ts";

/** One meta-latent, over all chosen positions. */
export interface MetaAttribution {
  readonly metaLatent: number;
  readonly attribution: number;
  /** Latents through which it acts, those with most of it first. */
  readonly through: readonly { readonly latent: number; readonly attribution: number }[];
}

/** Attribution of latents split over meta-latents, strongest first, and what no meta-latent explains. */
export async function toMetaLatents(
  { latents, gradient, positions }: Pick<Attribution, "latents" | "gradient" | "positions">,
  { site, scales }: Pick<SplicedText, "site" | "scales">,
  meta: Sae,
  signal?: AbortSignal,
): Promise<{ metaLatents: MetaAttribution[]; rest: number }> {
  const used = [...new Set(latents.map(({ latent }) => latent))];
  const { acts, norms } = await metaParts(site.sae, meta, used, signal);
  const width = positions.length === 0 ? 0 : gradient.length / positions.length;
  const rowOf = new Map(used.map((latent, row) => [latent, row]));
  const parts = [...new Set(acts.latents)];
  const directions = meta.decoderRows(parts);
  const directionOf = new Map(parts.map((part, row) => [part, row]));
  const placeOf = new Map(positions.map((position, row) => [position, row]));
  const shares = new Map<number, Map<number, number>>();
  let explained = 0;
  for (const { position, latent, activation } of latents) {
    const row = rowOf.get(latent)!;
    const amount = activation * norms[row]! * (scales?.[position] ?? 1);
    const from = placeOf.get(position)! * width;
    for (let entry = acts.offsets[row]!; entry < acts.offsets[row + 1]!; entry++) {
      const part = acts.latents[entry]!;
      const at = directionOf.get(part)! * width;
      let slope = 0;
      for (let i = 0; i < width; i++) slope += gradient[from + i]! * directions[at + i]!;
      const share = amount * acts.acts[entry]! * slope;
      const through = shares.get(part) ?? new Map<number, number>();
      through.set(latent, (through.get(latent) ?? 0) + share);
      shares.set(part, through);
      explained += share;
    }
  }
  const whole = latents.reduce((sum, it) => sum + it.attribution, 0);
  const metaLatents = [...shares].map(([metaLatent, through]) => ({
    metaLatent,
    attribution: [...through.values()].reduce((sum, share) => sum + share, 0),
    through: byStrength([...through].map(([latent, attribution]) => ({ latent, attribution }))),
  }));
  return { metaLatents: byStrength(metaLatents), rest: whole - explained };
}

/** Largest |attribution| first. */
export function byStrength<T extends { readonly attribution: number }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution));
}
