/**
 * Meta-latents beside the latents of a narrower SAE on the parent's hook point: in the paper they are much alike, as if the
 * wide SAE's latents were composed of the narrow one's. Leask et al. 2025, arXiv:2502.04878, section 5.
 */
import type { MetaComparison } from "../../protocol/meta.ts";
import type { Device } from "../../runtime/device.ts";
import type { Sae } from "../../sae/sae.ts";
import { seeded } from "../../base/seeded-random.ts";
import { shuffledRows } from "../../sae/unit-rows.ts";
import {
  cosinesBetween,
  decoderDirections,
  type Directions,
  requireSameSpace,
} from "../cosines.ts";
import type { Pace } from "../pace.ts";

/** Largest cosines both ways, and those of meta-latents whose entries are shuffled. */
export async function compareMeta(
  meta: Sae,
  narrow: { readonly id: string; readonly sae: Sae },
  { device, pace }: { device: Device; pace: Pace },
): Promise<MetaComparison> {
  const ours = decoderDirections(meta);
  const theirs = decoderDirections(narrow.sae);
  requireSameSpace(ours, theirs, narrow.id);
  const options = { device, threshold: 2, pace };
  const real = await cosinesBetween(ours, theirs, options);
  const random = seeded(0);
  const shuffled: Directions = {
    ...ours,
    read: (from, to) => shuffledRows(ours.read(from, to), ours.width, random),
  };
  const chance = await cosinesBetween(shuffled, theirs, options);
  return {
    narrow: narrow.id,
    best: real.best,
    bestLatent: real.bestRow,
    bestBack: real.bestBack,
    bestBackLatent: real.bestBackRow,
    mean: mean(real.best),
    meanBack: mean(real.bestBack),
    shuffledMean: mean(chance.best),
  };
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
