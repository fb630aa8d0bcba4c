/** The order in which latents are shown: those of the features first, so that what was recovered is a diagonal. */
import type { ToyResult } from "../../server/protocol/toy.ts";

/** Indices of latents. */
export function latentOrder({ features, densities }: ToyResult): number[] {
  const matched = features.flatMap(({ latent }) => (latent === null ? [] : [latent]));
  const rest = densities.flatMap((_, latent) => (matched.includes(latent) ? [] : [latent]));
  return [...matched, ...rest];
}
