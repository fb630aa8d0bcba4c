/** The trainer of every architecture: what a step does around loss and gradients. */
import type { Device } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  type ActivationNormalization,
  type Batch,
  openNormalization,
  type RawBatch,
} from "./activation-normalization.ts";
import type { TrainConfig } from "./config.ts";
import { Adversary, type AdversaryTurn, type MetaTrainer } from "./adversary.ts";
import { parseTrainConfig } from "./config.ts";
import { countOnes, DeadLatents } from "./dead-latents.ts";
import { lossNotFinite, wrongBatch } from "./errors.ts";
import type { TaskRows } from "./attribution.ts";
import { type FinishedSae, finishSae } from "./finished-sae.ts";
import type { Explanation, Forward, TrainerKind, TrainingForm } from "./form.ts";
import { geometricMedian, meanRow } from "./geometric-median.ts";
import { importParameters } from "./import-parameters.ts";
import { initialise, parameterCount } from "./initial-parameters.ts";
import { takeStep } from "./optimizer.ts";
import { float64Of, Parameters } from "./parameters.ts";
import { SeededRandom } from "../base/seeded-random.ts";
import { canStay, ResidentForm } from "./resident-form.ts";
import { resample } from "./resampling.ts";
import { learningRate, warmedUp } from "./schedules.ts";
import type { StepResult, Trainer } from "./trainer.ts";
import { kindOf } from "./trainers/index.ts";

/** Stream of random numbers for resampling, beside those of the initial parameters. */
const resamplingStream = 3;

interface Pieces {
  readonly kind: TrainerKind;
  readonly parameters: Parameters;
  readonly form: TrainingForm;
  readonly normalization: ActivationNormalization;
  readonly device: Device;
  readonly plan: string;
  readonly adversary: Adversary | undefined;
}

interface OpenOptions {
  readonly init?: ReadonlyMap<string, Tensor> | undefined;
  /** Whether training stays on the device; by default where it can. */
  readonly stays?: boolean;
}

/** One SAE in training. */
export class SaeTrainer implements MetaTrainer {
  readonly config: TrainConfig;
  readonly #pieces: Pieces;
  readonly #dead: DeadLatents;
  #steps = 0;
  /** Rows for which there is room. */
  #rows = 0;

  private constructor(config: TrainConfig, pieces: Pieces) {
    this.config = config;
    this.#pieces = pieces;
    this.#dead = new DeadLatents(config);
  }

  /** Plans memory, draws or takes the initial parameters, loads graphs. */
  static async open(
    config: TrainConfig,
    device: Device,
    { init, stays = canStay({ config, device }) }: OpenOptions = {},
  ): Promise<SaeTrainer> {
    const kind = kindOf(config);
    const shapes = kind.shapes(config);
    const plan = freeLine(device, `training ${config.architecture} with ${config.d_sae} latents`);
    // Value, gradient and two averages; on a device values and averages before and after a step.
    const bytes = (stays ? 16 + 24 : 16) * parameterCount(shapes);
    device.ledger.require([{ what: plan, bytes }]);
    device.ledger.plan(plan, bytes);
    const parameters = new Parameters(shapes, device.threads);
    initialise(parameters, config, kind.initial?.(config) ?? {});
    const normalization = openNormalization(config, device);
    if (init !== undefined) {
      const imported = importParameters(init);
      parameters.setFrom(imported.parameters);
      normalization.restore(imported.statistics);
    }
    const parts = { config, parameters, device };
    const form = stays ? new ResidentForm(parts, kind.dense(config)) : await kind.open(parts);
    const adversary = await openAdversary(config, device);
    const pieces = { kind, parameters, form, normalization, device, plan, adversary };
    return new SaeTrainer(config, pieces);
  }

  get steps(): number {
    return this.#steps;
  }

  get observations(): number {
    return this.#steps > 0 ? 0 : this.#pieces.normalization.observations;
  }

  async observe(batch: Tensor<"float32"> | RawBatch, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#pieces.normalization.observe(this.#raw(batch));
  }

  async step(input: Tensor<"float32"> | RawBatch, signal?: AbortSignal): Promise<StepResult> {
    signal?.throwIfAborted();
    const { parameters, form, normalization, adversary } = this.#pieces;
    const raw = this.#raw(input);
    const { task } = raw;
    const batch = { ...(await normalization.apply(raw)), ...downstreamOf(raw) };
    this.#makeRoom(Math.max(batch.rows, task?.x.dims[0] ?? 0));
    const step = this.#steps;
    const lr = learningRate(this.config, step);
    if (step === 0) this.#startDecoderBias(batch);
    await adversary?.learn(parameters.get("W_dec"), step, signal);
    const own = await form.forward(batch, { step, lr, dead: this.#dead, signal });
    const attribution = await this.#attribute(task, step, signal);
    const turn = await adversary?.penalise(parameters.get("W_dec"), step, signal);
    const forward = withPenalties(own, attribution, turn);
    checkFinite(forward, step, lr);
    signal?.throwIfAborted();
    // From here on nothing waits, so a step is taken whole.
    const dead = countOnes(this.#dead.during(forward.fired, batch.rows));
    const gradNorm = own.take?.() ?? takeStep(parameters, this.config, { step, lr });
    own.commit?.();
    this.#dead.advance(forward.fired, batch.rows);
    this.#steps++;
    const resampled = await this.#resample(batch, step);
    return {
      step,
      lr,
      loss: forward.loss,
      parts: forward.parts,
      dead,
      l0: forward.l0,
      ...reported("fvu", this.#fvu(forward, batch)),
      ...reported("threshold", form.threshold?.()),
      gradNorm,
      ...reported("resampled", resampled),
      ...reported("metrics", metricsOf(own, turn)),
    };
  }

  /** The meta-SAE of a joint training. */
  get adversary(): Trainer | undefined {
    return this.#pieces.adversary?.trainer;
  }

  /** How well raw activations, one by one, are reconstructed, and how that changes with them. */
  async explain(input: RawBatch, signal?: AbortSignal): Promise<Explanation> {
    const { form, normalization } = this.#pieces;
    const batch = await normalization.apply(this.#raw(input));
    this.#makeRoom(batch.rows);
    const { squaredErrors, gradient } = await form.explain(batch, signal);
    const scale = batch.scale ?? 1;
    return {
      squaredErrors: squaredErrors.map((it) => it / scale ** 2),
      gradient: gradient.map((it) => it / scale),
    };
  }

  async settle(): Promise<void> {
    await this.#pieces.form.settle?.();
  }

  parameters(): Map<string, Tensor<"float32">> {
    return this.#pieces.parameters.outside();
  }

  state(): Map<string, Tensor> {
    const { parameters, form, normalization, adversary } = this.#pieces;
    return new Map([
      ...parameters.state(),
      ...(adversary?.state() ?? []),
      ...normalization.state(),
      ...form.state(),
      ...this.#dead.state(),
      ["steps", tensor("float64", [1], Float64Array.of(this.#steps))],
    ]);
  }

  restore(state: ReadonlyMap<string, Tensor>): void {
    const { parameters, form, normalization, adversary } = this.#pieces;
    parameters.restore(state);
    adversary?.restore(state);
    normalization.restore(state);
    form.restore(state);
    this.#dead.restore(state);
    this.#steps = float64Of(state, "steps", [1])[0]!;
  }

  finish(): FinishedSae {
    const { kind, form, normalization } = this.#pieces;
    const threshold = form.finalThreshold?.();
    const trained = { parameters: this.parameters(), ...reported("threshold", threshold) };
    return finishSae(trained, kind.finished(this.config), { config: this.config, normalization });
  }

  async release(): Promise<void> {
    const { parameters, form, normalization, device, plan, adversary } = this.#pieces;
    await adversary?.trainer.release();
    await form.release();
    await normalization.release();
    parameters.release();
    device.ledger.release(plan);
  }

  /** The penalty on a task's attributions, its gradients added; undefined where there is none. */
  async #attribute(
    task: TaskRows | undefined,
    step: number,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const { form, normalization } = this.#pieces;
    const { attribution } = this.config;
    if (attribution === null) return undefined;
    if (task === undefined) throw new Error("bug: a penalty on attribution without a task");
    const { coefficient, warmUpSteps } = attribution;
    const target = task.gradient;
    const batch = await normalization.apply(
      this.config.d_out === null ? { x: task.x } : { x: task.x, target },
    );
    // Decoder rows are in the units of the batch.
    const factor = warmedUp(coefficient, warmUpSteps, step) / task.prompts / (batch.scale ?? 1);
    const g = { ...task.gradient, data: task.gradient.data.map((it) => it * factor) };
    return form.attribute(batch, g, signal);
  }

  /** The batch with its shapes checked. */
  #raw(input: Tensor<"float32"> | RawBatch): RawBatch {
    const batch = "x" in input ? input : { x: input };
    const { d_in, d_out } = this.config;
    const [rows = 0] = batch.x.dims;
    const check = (what: string, { dims }: { dims: readonly number[] }, width: number) => {
      if (dims.length !== 2 || rows === 0 || dims[0] !== rows || dims[1] !== width)
        throw wrongBatch(what, dims, [what === "x" || rows === 0 ? "rows" : rows, width]);
    };
    check("x", batch.x, d_in);
    if (d_out !== null) check("the target", batch.target ?? { dims: [] }, d_out);
    else if (batch.target) throw wrongBatch("the target", batch.target.dims, ["none for an SAE"]);
    return batch;
  }

  #makeRoom(rows: number): void {
    if (rows <= this.#rows) return;
    const { parameters, form } = this.#pieces;
    parameters.makeRoom(form.workBytes(rows));
    form.place(rows);
    this.#rows = rows;
  }

  /** b_dec from the first batch, where the config says so. */
  #startDecoderBias({ target }: Batch): void {
    const { b_dec } = this.config.init;
    if (b_dec === "zeros") return;
    const { value } = this.#pieces.parameters.get("b_dec");
    value.set(
      b_dec === "mean"
        ? meanRow(target.data, value.length)
        : geometricMedian(target.data, value.length),
    );
  }

  async #resample(batch: Batch, step: number): Promise<number | undefined> {
    const rule = "resample" in this.config ? this.config.resample : null;
    const { parameters, form } = this.#pieces;
    if (rule === null || (step - rule.first) % rule.every !== 0 || step < rule.first)
      return undefined;
    if (!form.errorNorms) return undefined;
    const dead = this.#dead.before();
    if (!dead.includes(1)) return 0;
    const errors = await form.errorNorms(batch);
    const random = new SeededRandom(this.config.seed, resamplingStream, step);
    return resample(parameters, dead, { batch, errors, encoderScale: rule.encoderScale, random });
  }

  #fvu({ squaredError }: Forward, { target }: Batch): number | undefined {
    if (squaredError === undefined) return undefined;
    const variance = totalVariance(target);
    return variance > 0 ? squaredError / variance : undefined;
  }
}

function checkFinite({ loss, parts }: Forward, step: number, lr: number): void {
  for (const [part, value] of Object.entries({ ...parts, loss }))
    if (!Number.isFinite(value)) throw lossNotFinite(step, part, value, lr);
}

/** A line of the memory plan that is not another SAE's of the same run. */
function freeLine({ ledger }: Device, what: string): string {
  const taken = new Set(ledger.status().planned.map((line) => line.what));
  let line = what;
  for (let number = 2; taken.has(line); number++) line = `${what} (${number})`;
  return line;
}

/** The meta-SAE that a config asks for. */
async function openAdversary(config: TrainConfig, device: Device): Promise<Adversary | undefined> {
  const { adversary, seed } = config;
  if (adversary === null) return undefined;
  const own = parseTrainConfig(adversary.train, "the adversary's options");
  return new Adversary(adversary, await SaeTrainer.open(own, device, { stays: false }), seed);
}

function downstreamOf({ downstream }: RawBatch): Pick<Batch, "downstream"> {
  return downstream === undefined ? {} : { downstream };
}

/** Loss and parts with what was added to the architecture's own. */
function withPenalties(
  { commit: _commit, take: _take, ...own }: Forward,
  attribution: number | undefined,
  turn: AdversaryTurn | undefined,
): Forward {
  const parts = { ...reported("attribution_loss", attribution), ...turn?.parts };
  const more = Object.values(parts).reduce((sum, part) => sum + part, 0);
  return { ...own, loss: own.loss + more, parts: { ...own.parts, ...parts } };
}

/** A form may fill its metrics in when it is committed. */
function metricsOf(
  { metrics }: Forward,
  turn: AdversaryTurn | undefined,
): Readonly<Record<string, number>> | undefined {
  return turn && Object.keys(turn.metrics).length > 0 ? { ...metrics, ...turn.metrics } : metrics;
}

function reported<K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: T });
}

/** Mean over rows of ‖x − mean‖². */
function totalVariance({ dims, data }: Tensor<"float32">): number {
  const [rows = 0, width = 0] = dims;
  const mean = meanRow(data, width);
  let squares = 0;
  for (let i = 0; i < data.length; i++) squares += data[i]! * data[i]!;
  return squares / rows - mean.reduce((sum, it) => sum + it ** 2, 0);
}
