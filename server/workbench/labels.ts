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

/** The labels of latents by their index; those without one are absent. */
export function labelsOf(
  { latentsFile }: { readonly latentsFile: LatentsFile | undefined },
  sae: SaeInfo,
  latents: readonly { readonly latent: number }[],
): Record<number, string> {
  const labels: Record<number, string> = {};
  for (const { latent } of latents) {
    const label = labelOf(latentsFile, sae, latent);
    if (label !== undefined) labels[latent] = label;
  }
  return labels;
}
