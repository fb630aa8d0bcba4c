/**
 * The toy room: SAEs on activations whose features are known, because they were made here, so that one can say what
 * training did to them: which were recovered, which parents their children absorbed, which were split. It draws features
 * and rows (`feature-set.ts`), trains with the trainers of `server/training`, encodes with `server/sae`, and measures
 * (`measures.ts`). It knows no language model, no disk and no process.
 *
 * After Chanin et al. 2024, arXiv:2409.14507, and Chanin's "Toy Models of Feature Absorption in SAEs" (2024).
 */
import { openSae } from "../sae/sae.ts";
import type { Device } from "../runtime/device.ts";
import type { ToyCurve, ToyProgress, ToyResult } from "../protocol/toy.ts";
import { openTrainer, type Trainer } from "../training/trainer.ts";
import { FeatureSet, type Samples } from "./feature-set.ts";
import { measure } from "./measures.ts";
import { describeSae } from "./sae-description.ts";
import type { ToyConfig } from "./toy-config.ts";
import { trainConfigOf } from "./toy-training.ts";

/** Points of a curve at most. */
const curvePoints = 200;

/** What a toy run is given beside its config. */
export interface ToySurroundings {
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
  /** Hears of every step; what it does must be quick. */
  readonly onProgress?: ((progress: ToyProgress) => void) | undefined;
}

/** Trains one SAE on the config's features and measures it. The same config gives the same figures on the same machine. */
export async function runToy(
  config: ToyConfig,
  around: ToySurroundings,
): Promise<Omit<ToyResult, "seconds">> {
  const set = new FeatureSet(config);
  const train = trainConfigOf(config, set);
  const trainer = await openTrainer(train, around.device);
  try {
    const curve = await trainSteps(config, { set, trainer, around });
    const samples = set.test(config.testRows);
    await trainer.settle();
    const { tensors, cfg } = trainer.finish();
    const sae = await openSae(describeSae({ tensors, cfg }), around.device);
    try {
      const sparse = await sae.encode(samples.x, around.signal);
      const x_hat = await sae.decode(sparse, samples.x, around.signal);
      const acts = new Float32Array(config.testRows * train.d_sae);
      for (let row = 0; row < config.testRows; row++)
        for (let at = sparse.offsets[row]!; at < sparse.offsets[row + 1]!; at++)
          acts[row * train.d_sae + sparse.latents[at]!] = sparse.acts[at]!;
      const figures = measure(set, samples, {
        d_sae: train.d_sae,
        W_dec: tensors.get("W_dec")!.data,
        W_enc: tensors.get("W_enc")!.data,
        acts,
      });
      const active = samples.magnitudes.reduce((sum, it) => sum + (it > 0 ? 1 : 0), 0);
      return {
        schemaVersion: 1,
        config,
        ...figures,
        sae: {
          l0: sparse.latents.length / config.testRows,
          trueL0: active / config.testRows,
          fvu: fvu(samples, x_hat.data),
          dead: figures.densities.filter((it) => it === 0).length,
        },
        curve,
      };
    } finally {
      await sae.release();
    }
  } finally {
    await trainer.release();
  }
}

async function trainSteps(
  { sae: { steps, batch } }: ToyConfig,
  parts: { set: FeatureSet; trainer: Trainer; around: ToySurroundings },
): Promise<ToyCurve> {
  const { set, trainer, around } = parts;
  const { signal, onProgress } = around;
  for (let at = 0; at < trainer.observations; at++)
    await trainer.observe(set.batch(steps + at, batch).x, signal);
  const every = Math.max(1, Math.ceil(steps / curvePoints));
  const curve = { steps: [] as number[], loss: [] as number[], l0: [] as number[] };
  // A point is the mean of its steps: single batches of a few hundred rows are noisy.
  let sum = { loss: 0, l0: 0, count: 0 };
  for (let step = 0; step < steps; step++) {
    const { loss, l0 } = await trainer.step(set.batch(step, batch).x, signal);
    sum = { loss: sum.loss + loss, l0: sum.l0 + l0, count: sum.count + 1 };
    if ((step + 1) % every === 0 || step === steps - 1) {
      curve.steps.push(step);
      curve.loss.push(sum.loss / sum.count);
      curve.l0.push(sum.l0 / sum.count);
      sum = { loss: 0, l0: 0, count: 0 };
    }
    onProgress?.({ step: step + 1, steps, loss, l0 });
  }
  return curve;
}

/** Σ(x − x̂)² / Σ(x − mean x)², over all rows. */
function fvu({ x }: Samples, x_hat: Float32Array): number {
  const [rows = 0, width = 0] = x.dims;
  let [error, variance] = [0, 0];
  for (let i = 0; i < width; i++) {
    let mean = 0;
    for (let row = 0; row < rows; row++) mean += x.data[row * width + i]! / rows;
    for (let row = 0; row < rows; row++) {
      const at = row * width + i;
      error += (x.data[at]! - x_hat[at]!) ** 2;
      variance += (x.data[at]! - mean) ** 2;
    }
  }
  return error / variance;
}
