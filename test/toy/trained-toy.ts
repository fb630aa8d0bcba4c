// A toy SAE that was trained on known features, opened, with fresh rows of these features.
import type { ToyKnobs } from "../../server/protocol/toy.ts";
import type { Device } from "../../server/runtime/device.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { FeatureSet } from "../../server/toy/feature-set.ts";
import { describeSae } from "../../server/toy/sae-description.ts";
import { parseToyConfig, withKnobs } from "../../server/toy/toy-config.ts";
import { trainConfigOf } from "../../server/toy/toy-training.ts";
import type { FinishedSae } from "../../server/training/finished-sae.ts";
import { openTrainer } from "../../server/training/trainer.ts";

/** What is known of a trained toy. */
export interface TrainedToy {
  readonly set: FeatureSet;
  readonly sae: Sae;
  readonly tensors: FinishedSae["tensors"];
  /** Steps of the training; later batches were not trained on. */
  readonly steps: number;
}

/** Trains; the caller releases `sae`. */
export async function trainToy(
  device: Device,
  knobs: ToyKnobs,
  base: object = {},
): Promise<TrainedToy> {
  const config = parseToyConfig(withKnobs(base, knobs), "a test");
  const set = new FeatureSet(config);
  const trainer = await openTrainer(trainConfigOf(config, set), device);
  const { steps, batch } = config.sae;
  try {
    for (let step = 0; step < steps; step++) await trainer.step(set.batch(step, batch).x);
    const { tensors, cfg } = trainer.finish();
    return { set, sae: await openSae(describeSae({ tensors, cfg }), device), tensors, steps };
  } finally {
    await trainer.release();
  }
}
