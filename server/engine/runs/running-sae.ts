/** One SAE of a run while it is trained. */
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { readSafetensors } from "../../encoding/safetensors.ts";
import { readBytes } from "../../files/disk.ts";
import { inFile } from "../../files/errors.ts";
import type { Device } from "../../runtime/device.ts";
import { loadSae } from "../../sae/load.ts";
import type { Batch, Batches } from "../../training/buffer.ts";
import {
  openTrainer,
  type RawBatch,
  type StepResult,
  type Trainer,
} from "../../training/trainer.ts";
import { saePath } from "../names.ts";
import type { CompleteSae } from "./complete-run.ts";
import { cannotStartFrom } from "./errors.ts";
import type { Task } from "./task-prompts.ts";

/** Why and when an SAE was given up. */
export interface EarlyEnd {
  readonly step: number;
  readonly reason: string;
}

/** What names of a whitening's tensors begin with. */
const statistics = "whitening/";

/** A trainer with its place in the run. */
export class RunningSae {
  readonly sae: CompleteSae;
  readonly trainer: Trainer;
  /** Batches to show to its normalisation before the first step. */
  readonly observations: number;
  /** Set when its loss was no number any more; the others go on. */
  ended: EarlyEnd | undefined;
  /** Prompts of a penalty on attribution. */
  task: Task | undefined;
  last: StepResult | undefined;

  private constructor(sae: CompleteSae, trainer: Trainer, hasStatistics: boolean) {
    this.sae = sae;
    this.trainer = trainer;
    this.observations = hasStatistics ? 0 : trainer.observations;
  }

  /** Makes the trainer with its initial parameters. */
  static async open(sae: CompleteSae, device: Device): Promise<RunningSae> {
    const init = await initialParameters(sae);
    const hasStatistics = [...(init?.keys() ?? [])].some((name) => name.startsWith(statistics));
    return new RunningSae(sae, await openTrainer(sae.train, device, init), hasStatistics);
  }

  get name(): string {
    return this.sae.name;
  }

  /** Whether it takes another step at this number. */
  isTraining(step: number): boolean {
    return this.ended === undefined && step < this.sae.train.steps;
  }

  /** The part of a batch that concerns it, with what its losses need beside. */
  input(batch: Batch, batches: Batches): RawBatch {
    const { hook, hookOut, train } = this.sae;
    const { task } = this;
    return {
      x: batch.get(hook)!,
      ...(hookOut === null ? {} : { target: batch.get(hookOut)! }),
      ...(train.endToEnd === null ? {} : { downstream: batches.downstream!(hookOut ?? hook) }),
      ...(task ? { task: task.at(this.trainer.steps, train.attribution!.promptsPerStep) } : {}),
    };
  }
}

async function initialParameters({
  init,
  name,
  train,
}: CompleteSae): Promise<ReadonlyMap<string, Tensor> | undefined> {
  if (init === null) return undefined;
  if (init.kind === "file") {
    const tensors = inFile(init.file, () => readSafetensors(readBytes(init.file)));
    const own = [...tensors].filter(([key]) => key.startsWith(init.prefix));
    if (own.length === 0) {
      throw cannotStartFrom(name, init.file, `no tensor's name begins with "${init.prefix}"`);
    }
    const parameters = own.map(([key, value]) => [key.slice(init.prefix.length), value] as const);
    // Statistics of a whitening are no parameters: they stand beside them.
    return new Map([...[...tensors].filter(([key]) => key.startsWith(statistics)), ...parameters]);
  }
  const description = await loadSae(saePath(init.sae));
  try {
    const { normalization } = description.config;
    if (normalization.kind === "scale" || description.parameters.has("preScale")) {
      throw cannotStartFrom(name, init.sae, "it scales its input, which is not folded into it");
    }
    const { kind } = train.normalizeActivations;
    if (kind !== normalization.kind) {
      throw cannotStartFrom(
        name,
        init.sae,
        `it reads activations with the normalisation "${normalization.kind}", but "train.normalizeActivations.kind" is "${kind}"; set it to "${normalization.kind}"`,
      );
    }
    if (train.init.b_dec !== "zeros") {
      throw cannotStartFrom(
        name,
        init.sae,
        `"train.init.b_dec" is "${train.init.b_dec}", which would replace its b_dec; leave it out`,
      );
    }
    return new Map(
      [...description.parameters].map(([key, parameter]) => [
        key,
        tensor("float32", parameter.dims, parameter.readFloat32()),
      ]),
    );
  } finally {
    description.close();
  }
}
