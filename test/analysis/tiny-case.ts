/** A tiny language model with a small random SAE and its meta-SAE, and what torch makes of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type SaeSite, saeSite } from "../../server/analysis/sae-site.ts";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { LmGradients } from "../../server/lm/gradients.ts";
import { loadLm } from "../../server/lm/load.ts";
import type { Device } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { toFloat32 } from "../../server/tensor/half.ts";
import { repoRoot } from "../parts.ts";

/** The position and tokens of the logit difference of the goldens, and what else they are made with. */
export const goldenChoices = {
  terms: [
    { position: 19, id: 5, weight: 1 },
    { position: 19, id: 7, weight: -1 },
  ],
  positions: [4, 5, 9, 19],
  steps: 6,
} as const;

export interface TinyCase {
  readonly gradients: LmGradients;
  readonly site: SaeSite;
  readonly sae: Sae;
  readonly meta: Sae;
  readonly ids: Int32Array;
  /** A golden tensor as f32. */
  golden(name: string): Float32Array;
  release(): Promise<void>;
}

/** Opens one of gpt2, llama, gemma2; `rowsPerRun` cuts its sequences into pieces of so many rows. */
export async function openTinyCase(
  name: string,
  device: Device,
  rowsPerRun?: number,
): Promise<TinyCase> {
  const folder = join(repoRoot, "test/golden/attribution", name);
  const lm = await loadLm(join(repoRoot, "test/golden/tiny-lms", name), device);
  if (rowsPerRun !== undefined) Object.assign(lm, { rowsPerRun: () => rowsPerRun });
  const gradients = new LmGradients(lm);
  const sae = await openSae(await loadSae(join(folder, "sae")), device);
  const meta = await openSae(await loadSae(join(folder, "meta")), device);
  const tensors = readSafetensors(readFileSync(join(folder, "golden.safetensors")));
  return {
    gradients,
    site: saeSite(sae, lm.hook(sae.config.hook)),
    sae,
    meta,
    ids: Int32Array.from(tensors.get("ids")!.data as Int32Array),
    golden: (key) => toFloat32(tensors.get(key)!),
    async release() {
      await gradients.release();
      for (const part of [sae, meta, lm]) await part.release();
    },
  };
}
