/**
 * `train`: starts, replays or resumes a run in its folder. The folder is the only channel to it (`training/run-folder.ts`);
 * the editor, a shell and a cluster's scheduler start the same program. Start reading here, then `run-plan.ts` (which run is
 * meant), `run-session.ts` (what it opens), `train-loop.ts` (its steps).
 */
import { isCancelled, UserError } from "../../base/errors.ts";
import { isDiskFull } from "../../files/write-pieces.ts";
import type { DeviceName } from "../../protocol/reader.ts";
import type { RunEnding, RunFolder } from "../../training/run-folder.ts";
import { CheckpointPace } from "./checkpoint-pace.ts";
import type { DataReport } from "./open-data.ts";
import { qualities, resultOf, type RunResult, writeOutputs } from "./run-outputs.ts";
import { lowerPriority, type RunPriority } from "./priority.ts";
import { planRun, type RunPlan } from "./run-plan.ts";
import { openSession, type RunSession } from "./run-session.ts";
import { type StepLine, type StepSpeed, TrainLoop } from "./train-loop.ts";

/** A call of `train`. */
export interface TrainRequest {
  /** A run's file or folder. */
  readonly path: string;
  readonly resume: boolean;
  /** Folder of a new run. */
  readonly output?: string | undefined;
  /** Initial weights for all SAEs. */
  readonly init?: { readonly file: string; readonly prefix: string } | undefined;
  /** A file of batches to read instead of the config's data. */
  readonly batches?: string | undefined;
  readonly steps?: number | undefined;
  readonly device?: "auto" | DeviceName | undefined;
  readonly threads?: number | undefined;
  /** Resume although the end will not be bit-identical. */
  readonly allowDifferences: boolean;
  readonly priority: RunPriority;
  /** Version of this program. */
  readonly program: string;
  readonly signal: AbortSignal;
  readonly onStep: (line: StepLine, speed: StepSpeed) => void;
  /** What is going on, for people; at most a few times a second. */
  readonly onProgress: (text: string) => void;
}

/** How often the stop file is looked for. */
const stopPollMs = 250;

/** Runs until the end, the stop or a failure; the folder's result.json says which. Failures are thrown as well. */
export async function train(request: TrainRequest): Promise<RunResult> {
  lowerPriority(request.priority);
  const plan = planRun(request);
  const before = plan.folder.readEnding() as RunResult | undefined;
  const done = before?.state === "finished" && before.step >= (plan.config.steps ?? 0);
  if (plan.resumes && done) return { ...before, stepsRun: 0, resumedFrom: before.step };
  plan.folder.claim();
  const stop = new AbortController();
  const poll = setInterval(() => plan.folder.stopRequested && stop.abort(), stopPollMs);
  const signal = AbortSignal.any([request.signal, stop.signal]);
  try {
    return await runIn(plan, request, signal);
  } finally {
    clearInterval(poll);
  }
}

async function runIn(
  plan: RunPlan,
  request: TrainRequest,
  signal: AbortSignal,
): Promise<RunResult> {
  const { folder } = plan;
  let session: RunSession;
  try {
    session = await openSession(plan, {
      program: request.program,
      allowDifferences: request.allowDifferences,
      report: reportTo(plan, request, signal),
    });
  } catch (error) {
    // No step was taken: there is nothing to save, but the reason.
    const ending = isCancelled(error) ? stopped(request) : failed(error);
    folder.end({ ...ending, step: folder.checkpoints.steps()[0] ?? 0, stepsRun: 0 });
    throw error;
  }
  try {
    return await runSession(folder, session, request, signal);
  } finally {
    await session.close();
  }
}

async function runSession(
  folder: RunFolder,
  session: RunSession,
  request: TrainRequest,
  signal: AbortSignal,
): Promise<RunResult> {
  const { run, checkpoint } = session;
  const from = { step: checkpoint?.facts.step ?? 0, seconds: checkpoint?.facts.seconds ?? 0 };
  const loop = new TrainLoop(
    {
      ...session,
      folder,
      runKey: session.key,
      pace: new CheckpointPace(run.checkpoint, from.step),
      signal,
      onStep: (line, speed) => request.onStep(line, speed),
    },
    from,
  );
  const event = checkpoint === undefined ? "start" : "resume";
  let ending: RunEnding;
  let found: Awaited<ReturnType<typeof qualities>> | undefined;
  try {
    folder.log({ event, time: new Date().toISOString(), step: from.step, ...run.environment });
    const state = await loop.run();
    if (!(await loop.checkpoint()))
      throw new Error("bug: parameters that are no numbers after the last step");
    if (state === "finished") {
      folder.beat({ phase: "writing", step: loop.step, steps: run.steps }, true);
      writeOutputs(folder, session.saes);
      found = await qualities(folder, session);
    }
    ending = state === "finished" ? { state } : stopped(request);
  } catch (error) {
    await saveWhatCanBe(loop, error);
    const result = resultOf(failed(error), folder, session, loop);
    folder.end({ ...result });
    throw error;
  }
  const result = resultOf(ending, folder, session, loop, found);
  folder.end({ ...result });
  return result;
}

/** A failure that is not the disk's leaves the state before the failed step, which is worth keeping. */
async function saveWhatCanBe(loop: TrainLoop, error: unknown): Promise<void> {
  if (isDiskFull(error)) return;
  try {
    await loop.checkpoint();
  } catch (second) {
    // The first failure is the one to report.
    if (!(second instanceof UserError))
      throw new Error("checkpoint after a failure", { cause: second });
  }
}

function stopped({ signal }: TrainRequest): RunEnding {
  return {
    state: "stopped",
    reason: signal.aborted
      ? { code: "signal", text: "stopped by a signal; continue with --resume" }
      : { code: "stop-file", text: "stopped by the file named stop; continue with --resume" },
  };
}

function failed(error: unknown): RunEnding {
  const text = error instanceof Error ? error.message : String(error);
  if (isDiskFull(error)) {
    return {
      state: "failed",
      reason: {
        code: "disk-full",
        text: `the disk is full: ${text}; make room and continue with --resume`,
      },
    };
  }
  const code = error instanceof UserError ? error.code : "bug";
  return { state: "failed", reason: { code, text } };
}

/** Progress of reading and harvesting to `process.json`, and to whoever watches. */
function reportTo({ folder }: RunPlan, request: TrainRequest, signal: AbortSignal): DataReport {
  let last = 0;
  return {
    signal,
    onProgress(phase, share, note) {
      const now = performance.now();
      if (now - last < stopPollMs) return;
      last = now;
      // The step is the loop's to tell; while one harvests between steps, only the phase is news.
      folder.beatPhase(phase, share, note);
      const percent = share === undefined ? "" : ` ${Math.round(share * 100)} %`;
      request.onProgress(`${phase}${percent}${note === undefined ? "" : ` (${note})`}`);
    },
  };
}
