/** A stitched SAE on disk: SAELens's format with the labels of its members, and where each latent comes from. */
import { join } from "node:path";
import type { Composition } from "../../analysis/stitching/composition.ts";
import { tensorsOf } from "../../analysis/stitching/self-contained.ts";
import { writeSafetensors } from "../../encoding/safetensors.ts";
import { exists, listFolder, writeFileAtomic } from "../../files/disk.ts";
import type { StitchChoice, StitchParams } from "../../protocol/stitching.ts";
import { UserError } from "../../base/errors.ts";
import type { LoadedSae } from "../loaded.ts";

/** Writes into a new or empty folder. */
export function writeStitched(
  folder: string,
  composition: Composition,
  {
    narrow,
    wide,
    choice,
  }: {
    narrow: LoadedSae;
    wide: LoadedSae;
    choice: StitchChoice & Pick<StitchParams, "rule">;
  },
): void {
  if (exists(folder) && listFolder(folder).length > 0)
    throw new UserError("folder-not-empty", `${folder} is not empty; name a new folder`);
  const parts = composition.build();
  const { config } = narrow.sae;
  const origins = composition.origins;
  const labels: Record<string, { label: string }> = {};
  for (const [at, { from, latent }] of origins.entries()) {
    const label = (from === "narrow" ? narrow : wide).info.labels[latent];
    if (label !== undefined) labels[at] = { label };
  }
  writeFileAtomic(join(folder, "sae_weights.safetensors"), writeSafetensors(tensorsOf(parts)));
  if (Object.keys(labels).length > 0) writeFileAtomic(join(folder, "labels.json"), json(labels));
  const origin = (from: "narrow" | "wide"): number[] =>
    origins.flatMap((it) => (it.from === from ? [it.latent] : []));
  writeFileAtomic(
    join(folder, "stitched.json"),
    json({
      schemaVersion: 1,
      about: "latents of the narrow SAE in this order, then latents of the wide SAE",
      narrow: { id: narrow.id, path: narrow.info.path, latents: origin("narrow") },
      wide: { id: wide.id, path: wide.info.path, latents: origin("wide") },
      ...choice,
      notes: parts.notes,
    }),
  );
  // Last, so that a folder with a config is whole.
  writeFileAtomic(
    join(folder, "cfg.json"),
    json({
      architecture: "jumprelu",
      d_in: parts.d_in,
      d_sae: parts.d_sae,
      dtype: "float32",
      device: "cpu",
      apply_b_dec_to_input: false,
      normalize_activations: "none",
      reshape_activations: "none",
      metadata: {
        sae_lens_version: "6.54.12",
        sae_lens_training_version: null,
        ...(config.model === undefined ? {} : { model_name: config.model }),
        hook_name: config.hook,
        ...(config.n_ctx === undefined ? {} : { context_size: config.n_ctx }),
        prepend_bos: config.prependBos,
        stitched_from: { narrow: narrow.id, wide: wide.id },
      },
    }),
  );
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
