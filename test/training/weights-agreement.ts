/** How close trained weights are to another library's, and what is to be said about those that are not. */
import type { Tensor } from "../../server/tensor/tensor.ts";
import type { GoldenRun } from "./golden-runs.ts";

/** Largest difference that counts as agreement, over the RMS of what training changed in the tensor. */
const tolerance = 1e-4;

/** One entry that differs by more. */
export interface Outlier {
  readonly name: string;
  /** Index into the data, outer orientation. */
  readonly at: number;
  /** Of W_enc's columns and W_dec's rows: its latent. */
  readonly latent: number;
  readonly difference: number;
}

/** Compares one tensor. */
export interface Agreement {
  readonly name: string;
  readonly size: number;
  /** Largest difference over RMS(final − init); undefined where nothing was to change. */
  readonly worst: number | undefined;
  readonly outliers: readonly Outlier[];
}

/** Compares all parameters with a golden's. */
export function agreements(
  run: GoldenRun,
  prefix: string,
  found: ReadonlyMap<string, Tensor<"float32">>,
): Agreement[] {
  const before = run.parameters("init");
  const wanted = run.parameters(prefix);
  return [...wanted].map(([name, { data, dims }]) => {
    const [mine, start] = [found.get(name)!.data, before.get(name)!.data];
    let squares = 0;
    for (let at = 0; at < data.length; at++) squares += (data[at]! - start[at]!) ** 2;
    const rms = Math.sqrt(squares / data.length);
    // What training leaves alone is only rounded (rows of W_dec brought back to norm 1).
    const allowed = rms < 1e-6 ? 2.5e-7 : tolerance * rms;
    const outliers: Outlier[] = [];
    let worst = 0;
    for (let at = 0; at < data.length; at++) {
      const difference = Math.abs(mine[at]! - data[at]!);
      worst = Math.max(worst, difference);
      if (!(difference <= allowed))
        outliers.push({ name, at, latent: latentOf(name, at, dims), difference });
    }
    return { name, size: data.length, worst: rms < 1e-6 ? undefined : worst / rms, outliers };
  });
}

/**
 * Latents of which the golden's first step moved a weight by a gradient as small as the rounding of its sum, so that
 * direction and length of Adam's step are chance: |g| below `noise` after clipping. In the first step Adam moves by
 * lr·g/(|g| + eps), which gives g.
 */
export function chanceLatents(run: GoldenRun, noise: number): Set<number> {
  const lr = run.log[0]!.lr;
  const latents = new Set<number>();
  const before = run.parameters("init");
  for (const [name, { data, dims }] of run.parameters("step1")) {
    if (dims.length !== 2) continue;
    const start = before.get(name)!.data;
    for (let at = 0; at < data.length; at++) {
      const moved = Math.abs(data[at]! - start[at]!) / lr;
      const gradient = (run.config.adam.eps * moved) / (1 - moved);
      if (moved > 0 && moved < 1 && gradient < noise) latents.add(latentOf(name, at, dims));
    }
  }
  return latents;
}

function latentOf(name: string, at: number, dims: readonly number[]): number {
  const width = dims[1] ?? 1;
  return name === "W_enc" ? at % width : Math.floor(at / width);
}
