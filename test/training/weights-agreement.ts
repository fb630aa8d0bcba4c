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
  return [...wanted].map(([name, { data }]) => {
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
      if (!(difference <= allowed)) outliers.push({ name, at, difference });
    }
    return { name, size: data.length, worst: rms < 1e-6 ? undefined : worst / rms, outliers };
  });
}

/**
 * The golden's own gradient of an entry at the first step, after clipping: Adam's first step is lr·g/(|g| + eps). Undefined
 * where the first learning rate is 0.
 */
export function firstGradient(run: GoldenRun, { name, at }: Outlier): number | undefined {
  const lr = run.log[0]!.lr;
  if (lr === 0) return undefined;
  const [before, after] = ["init", "step1"].map(
    (prefix) => run.parameters(prefix).get(name)!.data[at]!,
  );
  const moved = Math.abs(after! - before!) / lr;
  return (run.config.adam.eps * moved) / (1 - moved);
}
