/** Everything of a run opened: device, data, trainers at the step where they stand, batches. */
import { availableParallelism, cpus, totalmem } from "node:os";
import { LmGradients } from "../../lm/gradients.ts";
import { type Device, openDevice, runtimeVersion } from "../../runtime/device.ts";
import type { Batches } from "../../training/buffer.ts";
import type { Checkpoint } from "../../training/checkpoint.ts";
import {
  type CompleteRun,
  completeRun,
  type Environment,
  observedBatches,
  runKey,
} from "./complete-run.ts";
import { cannotResume, inputsChanged, noData, otherSaes, tooFewRows } from "./errors.ts";
import { type DataReport, openData, type RunData } from "./open-data.ts";
import type { RunPlan } from "./run-plan.ts";
import { RunningSae } from "./running-sae.ts";
import { openTask } from "./task-prompts.ts";

/** An open run. */
export interface RunSession {
  readonly run: CompleteRun;
  readonly key: string;
  readonly saes: readonly RunningSae[];
  readonly batches: Batches;
  readonly firstBatch: number;
  readonly tokens: string | undefined;
  readonly checkpoint: Checkpoint | undefined;
  /** Figures of a finished SAE in a folder on the data themselves, where the data have such. */
  readonly quality: ((sae: string) => Promise<Readonly<Record<string, number>>>) | undefined;
  close(): Promise<void>;
}

/** What opening a run needs beside its plan. */
export interface SessionOptions {
  /** Version of this program. */
  readonly program: string;
  readonly allowDifferences: boolean;
  readonly report: DataReport;
}

/** Opens a run; writes its run.jsonc as soon as all is decided, before anything is computed. */
export async function openSession(plan: RunPlan, options: SessionOptions): Promise<RunSession> {
  const { config, where } = plan;
  if (config.data === undefined) throw noData(where);
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const it of closers.toReversed()) await it();
  };
  try {
    const device = await deviceOf(plan);
    closers.push(() => device.close());
    const data = await openData(config.data, device);
    closers.push(() => data.close());
    const run = decide(plan, data, environmentOf(device, options.program), options);
    plan.folder.writeConfig(`${JSON.stringify(run, undefined, 2)}\n`);
    const key = runKey(run);
    const checkpoint = plan.resumes ? plan.folder.checkpoints.readLatest(key) : undefined;
    plan.folder.openEvents(checkpoint?.facts.eventsBytes ?? 0);
    const saes: RunningSae[] = [];
    for (const sae of run.saes) {
      // What a checkpoint overwrites need not be read.
      const from = checkpoint === undefined ? sae : { ...sae, init: null };
      const running = await RunningSae.open(from, device);
      closers.push(() => running.trainer.release());
      saes.push(running);
    }
    await openTasks(saes, data, options.report);
    const firstBatch = checkpoint?.facts.firstBatch ?? observedBatches(saes);
    const opened = await openBatches(data, run, {
      firstBatch,
      plan,
      report: options.report,
      device,
    });
    closers.push(() => opened.batches.close());
    if (checkpoint) restore(saes, checkpoint, { tokens: opened.tokens, folder: plan.folder.path });
    else await observe(saes, opened.batches, options.report);
    const quality = data.quality && ((sae: string) => data.quality!(sae, device));
    const { tokens } = opened;
    return { run, key, saes, ...opened, firstBatch, tokens, checkpoint, quality, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function deviceOf({ config }: RunPlan): Promise<Device> {
  const { device } = await openDevice({
    device: config.device ?? "auto",
    threads: config.threads ?? availableParallelism(),
    memoryBudget: totalmem() * 0.75,
  });
  return device;
}

function environmentOf(device: Device, program: string): Environment {
  return {
    program,
    onnxruntime: runtimeVersion,
    device: device.name,
    threads: device.threads,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model ?? "unknown",
  };
}

/** The complete config; of a resumed run only if it is the one that was started, under the same conditions. */
function decide(
  { config, where, folder, resumes }: RunPlan,
  data: RunData,
  environment: Environment,
  { allowDifferences }: SessionOptions,
): CompleteRun {
  const stored = resumes ? config : undefined;
  const run = completeRun(config, data, environment, where);
  if (stored === undefined) return run;
  const changed = differences(stored.inputs ?? {}, run.inputs);
  if (changed.length > 0) throw inputsChanged(folder.path, changed);
  const differing = differences(stored.environment ?? {}, environment);
  if (differing.length > 0 && !allowDifferences) throw cannotResume(folder.path, differing);
  const all = [...(stored.differences ?? []), ...differing];
  return all.length === 0 ? run : { ...run, differences: all };
}

function differences(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return keys
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key} was ${short(before[key])}, now it is ${short(now[key])}`);
}

function short(value: unknown): string {
  const text = `${(value as string | number | undefined) ?? "absent"}`;
  return /^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 12)}…` : text;
}

async function openBatches(
  data: RunData,
  run: CompleteRun,
  at: { firstBatch: number; plan: RunPlan; report: DataReport; device: Device },
): Promise<{ batches: Batches; tokens: string | undefined }> {
  const hooks = run.saes.flatMap(({ hook, hookOut }) =>
    hookOut === null ? [hook] : [hook, hookOut],
  );
  const wanted = at.firstBatch + run.steps;
  const { epochs } = run.data;
  const sequences = run.saes.some(({ train }) => train.endToEnd !== null);
  const options = { ...run.buffer, batch: run.batch, epochs, batches: wanted, sequences };
  const place = { folder: at.plan.folder.path, report: at.report };
  const { batches, tokens, bytes } = await data.open([...new Set(hooks)], options, place);
  if (batches.count < wanted) throw tooFewRows(batches.count, wanted, epochs);
  at.device.ledger.require([{ what: "shuffled buffer of activations", bytes }]);
  at.device.ledger.plan("shuffled buffer of activations", bytes);
  return { batches, tokens };
}

function restore(
  saes: readonly RunningSae[],
  { facts, states, path }: Checkpoint,
  { tokens, folder }: { tokens: string | undefined; folder: string },
): void {
  if (facts.tokens !== tokens) {
    throw inputsChanged(folder, [`the corpus gives other tokens than it did (${path})`]);
  }
  for (const sae of saes) {
    sae.ended = facts.ended[sae.name];
    if (sae.ended) continue;
    const state = states.get(sae.name);
    if (state === undefined) throw otherSaes(path, sae.name, [...states.keys()]);
    sae.trainer.restore(state);
  }
}

/** Reads the prompts of penalties on attribution and takes their gradients. */
async function openTasks(
  saes: readonly RunningSae[],
  { model }: RunData,
  report: DataReport,
): Promise<void> {
  if (!model || saes.every(({ sae }) => sae.task === null)) return;
  const gradients = new LmGradients(model.lm);
  try {
    for (const running of saes) {
      const { task, hook, hookOut } = running.sae;
      if (task === null) continue;
      const place = { hook, hookOut, prependBos: model.prependBos, policy: model };
      running.task = await openTask(task, gradients, place, report);
    }
  } finally {
    await gradients.release();
  }
}

/** Shows the first batches to normalisations that are estimated from activations. */
async function observe(
  saes: readonly RunningSae[],
  batches: Batches,
  { signal, onProgress }: DataReport,
): Promise<void> {
  const wanted = observedBatches(saes);
  for (let index = 0; index < wanted; index++) {
    const batch = await batches.batch(index, signal);
    onProgress("estimating the normalisation", index / wanted);
    for (const sae of saes) {
      if (index < sae.observations) await sae.trainer.observe(sae.input(batch, batches), signal);
    }
  }
}
