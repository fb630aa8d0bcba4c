/** Labels of latents: those of the workspace's `latents.jsonc` before those that lie beside the weights. */
import type { SaeInfo } from "../protocol/reader.ts";
import type { LatentsFile } from "../text/latents-file.ts";

/** The label of a latent, if it has one. */
export function labelOf(
  file: LatentsFile | undefined,
  sae: SaeInfo,
  latent: number,
): string | undefined {
  return file?.labels[sae.id]?.[String(latent)] ?? sae.labels[latent];
}
