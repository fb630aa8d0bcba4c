/** The steps of a run: batches to trainers, lines to the log, checkpoints, and the reasons to end. */
import { isCancelled, UserError } from "../../base/errors.ts";
import type { Batches } from "../../training/buffer.ts";
import type { CheckpointFacts } from "../../training/checkpoint.ts";
import type { RunFolder } from "../../training/run-folder.ts";
import type { StepResult } from "../../training/trainer.ts";
import { type CheckpointPace, finiteStates } from "./checkpoint-pace.ts";
import type { CompleteRun } from "./complete-run.ts";
import type { RunningSae } from "./running-sae.ts";

/** A step of one SAE as `--json` prints it. */
export interface StepLine extends StepResult {
  /** Absent where the run has only one SAE. */
  readonly sae?: string;
}

/** How fast a run is. */
export interface StepSpeed {
  readonly steps: number;
  readonly rowsPerSecond: number;
  readonly etaSeconds: number;
  /** SAEs that took the step. */
  readonly training: number;
}

/** What the loop works with. */
export interface LoopParts {
  readonly run: CompleteRun;
  readonly folder: RunFolder;
  readonly saes: readonly RunningSae[];
  readonly batches: Batches;
  /** Number of the batch of step 0: those before it were shown to normalisations. */
  readonly firstBatch: number;
  readonly pace: CheckpointPace;
  readonly runKey: string;
  readonly tokens: string | undefined;
  /** Aborted by a signal or the stop file. */
  readonly signal: AbortSignal;
  readonly onStep: (line: StepLine, speed: StepSpeed) => void;
}

/** Lines of the log per SAE, about, when the config leaves it open. */
const defaultLines = 2000;
/** Weight of the newest step in the shown speed. */
const speedShare = 0.1;

/** Takes the steps of a run. */
export class TrainLoop {
  readonly #parts: LoopParts;
  readonly #started: number = performance.now();
  readonly #secondsBefore: number;
  readonly #logEvery: number;
  readonly #firstStep: number;
  /** Checkpoints that hold the last good numbers of an SAE that was given up. */
  readonly #kept = new Set<number>();
  #step: number;
  #lastCheckpoint: number | undefined;
  #msPerStep: number | undefined;

  constructor(parts: LoopParts, from: { step: number; seconds: number }) {
    this.#parts = parts;
    this.#step = from.step;
    this.#firstStep = from.step;
    this.#secondsBefore = from.seconds;
    this.#logEvery = parts.run.log.everySteps ?? Math.ceil(parts.run.steps / defaultLines);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Steps done by this process. */
  get stepsRun(): number {
    return this.#step - this.#firstStep;
  }

  /** Seconds of the whole run so far. */
  get seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#started) / 1000;
  }

  /** Step of the newest checkpoint of this process. */
  get lastCheckpoint(): number | undefined {
    return this.#lastCheckpoint;
  }

  /** Runs to the last step or the stop; returns which it was. Other failures are thrown. */
  async run(): Promise<"finished" | "stopped"> {
    const { run, signal, saes } = this.#parts;
    while (this.#step < run.steps && saes.some((sae) => sae.isTraining(this.#step))) {
      if (signal.aborted) return "stopped";
      try {
        await this.#takeStep();
      } catch (error) {
        if (isCancelled(error)) return "stopped";
        throw error;
      }
      if (this.#parts.pace.isDue(this.#step)) await this.checkpoint();
    }
    return "finished";
  }

  /** Writes a checkpoint of the present state; false if it has numbers that are none, which is worth no file. */
  async checkpoint(): Promise<boolean> {
    const { folder, saes, runKey, tokens, pace, run } = this.#parts;
    if (this.#lastCheckpoint === this.#step) return true;
    const started = performance.now();
    for (const { trainer, ended } of saes) if (!ended) await trainer.settle();
    const states = finiteStates(saes);
    if (states === undefined) return false;
    folder.log({ event: "checkpoint", time: new Date().toISOString(), step: this.#step });
    const ended = saes.filter(({ ended: it }) => it).map(({ name, ended: it }) => [name, it!]);
    const facts: CheckpointFacts = {
      step: this.#step,
      firstBatch: this.#parts.firstBatch,
      eventsBytes: folder.flushEvents(),
      runKey,
      ...(tokens === undefined ? {} : { tokens }),
      seconds: this.seconds,
      ended: Object.fromEntries(ended) as CheckpointFacts["ended"],
    };
    const { bytes } = folder.checkpoints.write(facts, states);
    folder.checkpoints.prune(run.checkpoint.keep, this.#kept);
    this.#lastCheckpoint = this.#step;
    pace.written(this.#step, bytes, performance.now() - started);
    return true;
  }

  async #takeStep(): Promise<void> {
    const { saes, batches, firstBatch, signal, folder, run } = this.#parts;
    const started = performance.now();
    const batch = await batches.batch(firstBatch + this.#step, signal);
    // From here on no cancelling: all SAEs take the step, or the run fails.
    const results: [RunningSae, StepResult][] = [];
    for (const sae of saes) {
      if (!sae.isTraining(this.#step)) continue;
      const result = await this.#stepOf(sae, batch);
      if (result) results.push([sae, result]);
    }
    const ms = performance.now() - started;
    const before = this.#msPerStep ?? ms;
    this.#msPerStep = before + speedShare * (ms - before);
    for (const [sae, result] of results) this.#report(sae, result, results.length);
    this.#step++;
    const { rowsPerSecond, etaSeconds } = this.#speed();
    folder.beat({
      phase: "training",
      step: this.#step,
      steps: run.steps,
      rowsPerSecond,
      etaSeconds,
    });
  }

  /** A step of one SAE; if its loss is no number it is given up, and with the last one the run fails. */
  async #stepOf(
    sae: RunningSae,
    batch: Awaited<ReturnType<Batches["batch"]>>,
  ): Promise<StepResult | undefined> {
    try {
      const result = await sae.trainer.step(sae.input(batch, this.#parts.batches));
      sae.last = result;
      return result;
    } catch (error) {
      const diverged = error instanceof UserError && error.code === "loss-not-finite";
      if (!diverged) throw error;
      const others = this.#parts.saes.filter((it) => it !== sae && it.ended === undefined);
      if (others.length === 0) throw error;
      // Its numbers are those before this step: the newest checkpoint with them stays.
      if (await this.checkpoint()) this.#kept.add(this.#step);
      else if (this.#lastCheckpoint !== undefined) this.#kept.add(this.#lastCheckpoint);
      sae.ended = { step: this.#step, reason: error.message };
      this.#parts.folder.log({
        event: "note",
        time: new Date().toISOString(),
        step: this.#step,
        sae: sae.name,
        text: `${sae.name} is given up: ${error.message}`,
      });
      return undefined;
    }
  }

  #report(sae: RunningSae, result: StepResult, training: number): void {
    const { saes, folder, run, onStep } = this.#parts;
    const name = saes.length > 1 ? { sae: sae.name } : {};
    onStep({ ...name, ...result }, { steps: run.steps, training, ...this.#speed() });
    const isLast = this.#step === run.steps - 1;
    if (this.#step % this.#logEvery !== 0 && !isLast) return;
    folder.log({
      event: "step",
      time: new Date().toISOString(),
      sae: sae.name,
      ...result,
      rows: (this.#step + 1) * run.batch,
      rowsPerSecond: this.#speed().rowsPerSecond,
    });
  }

  #speed(): { rowsPerSecond: number; etaSeconds: number } {
    const ms = this.#msPerStep ?? Infinity;
    const rowsPerSecond = Math.round((this.#parts.run.batch * 1000) / ms);
    const etaSeconds = Math.round(((this.#parts.run.steps - this.#step) * ms) / 1000);
    return { rowsPerSecond, etaSeconds: Number.isFinite(etaSeconds) ? etaSeconds : 0 };
  }
}
