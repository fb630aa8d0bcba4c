/** What the folder of a run says about it: its state, how far it is, what it made. */
import { basename, join } from "node:path";
import { unreachable, UserError } from "../base/errors.ts";
import { exists, fileSize, isFolder, listFolder, openFile, readJson } from "../files/disk.ts";
import type { RunInfo, RunSae, RunState } from "../protocol/runs.ts";
import { readRunSummary, type RunSummary } from "./runs-config.ts";
import type { RunLog } from "./runs-log.ts";
import { launchedAt, type RunLife, lifeOf } from "./runs-process.ts";

/** What result.json says, as far as lists show it. */
interface RunResult {
  readonly state: "finished" | "stopped" | "failed";
  readonly reason?: { readonly code: string; readonly text: string };
}

/** All that is known of a run. */
export interface RunFacts {
  readonly folder: string;
  readonly name: string;
  readonly life: RunLife;
  /** When it was last started from an editor; 0 if never. */
  readonly started: number;
  readonly summary?: RunSummary;
  /** Why its run file cannot be read. */
  readonly problem?: string;
  readonly result?: RunResult;
  readonly stopAsked: boolean;
  readonly hasCheckpoint: boolean;
  /** The last words of its output, if its process ended without a result. */
  readonly lastWords?: string;
  readonly saes: readonly RunSae[];
}

/** Reads the folder of a run. */
export async function readRunFacts(folder: string, log: RunLog): Promise<RunFacts> {
  // In the order in which a run ends: events, result, process. So nothing that it left is missed.
  const life = lifeOf(folder);
  const result = readResult(folder);
  const { summary, problem } = trySummary(folder);
  const ended = life.state === "none" && result === undefined;
  const words = ended ? lastWords(join(folder, "run.log")) : undefined;
  await log.refresh();
  return {
    folder,
    name: basename(folder),
    life,
    started: launchedAt(folder),
    ...(summary ? { summary } : {}),
    ...(problem === undefined ? {} : { problem }),
    ...(result ? { result } : {}),
    stopAsked: exists(join(folder, "stop")),
    hasCheckpoint:
      hasEntries(join(folder, "checkpoints")) || exists(join(folder, "index/building.json")),
    ...(words ? { lastWords: words } : {}),
    saes: saesOf(folder, summary, log),
  };
}

/** The steps while it trains; what it does instead before and after. */
function phaseText(life: RunLife, progress: string, step: number): string {
  const beat = life.state === "none" ? undefined : life.beat;
  if (beat === undefined) return "starting";
  if (beat.phase === "training") return progress;
  const share = beat.share === undefined ? "" : ` ${Math.round(beat.share * 100)} %`;
  return step === 0 ? beat.phase + share : `${progress}, ${beat.phase}${share}`;
}

/** A run in a sentence and a few figures. */
export function describeRun(facts: RunFacts): RunInfo {
  const { summary, saes, folder, name } = facts;
  const state = stateOf(facts);
  const beat = facts.life.state === "none" ? undefined : facts.life.beat;
  // Events count steps from 0.
  const done = saes.map((it) => (it.last === undefined ? 0 : it.last.step + 1));
  const step = Math.max(beat?.step ?? 0, ...done);
  const steps = summary?.steps;
  const secondsLeft = state === "running" ? beat?.etaSeconds : undefined;
  return {
    folder,
    name,
    kind: summary?.kind ?? "train",
    state,
    text: textOf(facts, state, step),
    resumable: facts.hasCheckpoint && ["stopped", "failed"].includes(state),
    step,
    ...(steps === undefined ? {} : { steps }),
    ...(secondsLeft === undefined ? {} : { secondsLeft }),
    ...(summary?.lm === undefined ? {} : { lm: summary.lm }),
    ...(summary?.hook === undefined ? {} : { hook: summary.hook }),
    saes,
  };
}

function stateOf({ life, result, stopAsked, hasCheckpoint, ...facts }: RunFacts): RunState {
  // A process that has written its result has yet to end: until then its folder cannot be removed.
  if (life.state !== "none") return stopAsked ? "stopping" : "running";
  if (result) return result.state;
  if (facts.problem !== undefined) return "failed";
  if (facts.started === 0 && facts.summary?.isStarted !== true) return "new";
  return hasCheckpoint ? "stopped" : "failed";
}

function textOf(facts: RunFacts, state: RunState, step: number): string {
  const { summary, result, problem, lastWords: words, hasCheckpoint } = facts;
  if (summary?.kind === "index" && state !== "running" && state !== "failed")
    return indexTexts[state] ?? problem ?? "";
  const progress =
    summary?.steps === undefined ? `step ${step}` : `step ${step} of ${summary.steps}`;
  switch (state) {
    case "new":
      return problem ?? "not started yet";
    case "running":
      return phaseText(facts.life, progress, step);
    case "stopping":
      return `writing a checkpoint at ${progress}`;
    case "finished":
      return `${step} steps`;
    case "stopped":
      return `at ${progress}`;
    case "failed": {
      const why = result?.reason?.text ?? problem ?? words ?? "its process ended without a word";
      return hasCheckpoint ? `${why} (${progress})` : why;
    }
    default:
      return unreachable(state);
  }
}

/** An index has no steps; while it runs its phases say how far it is. */
const indexTexts: Partial<Record<RunState, string>> = {
  new: "not started yet",
  stopping: "ending after what it writes",
  finished: "index of latents",
  stopped: "goes on where it was",
};

function saesOf(folder: string, summary: RunSummary | undefined, log: RunLog): RunSae[] {
  const isOnly = summary?.saes.length === 1;
  return (summary?.saes ?? []).map(({ id, ...facts }) => {
    const own = join(folder, "sae", id);
    const path = exists(join(own, "cfg.json")) ? own : join(folder, "sae");
    const meta = join(folder, "meta-sae", path === own ? id : "");
    const last = log.last(id) ?? (isOnly ? log.last("") : undefined);
    return {
      id,
      ...facts,
      ...(last ? { last } : {}),
      ...(exists(join(path, "cfg.json")) ? { path } : {}),
      ...(exists(join(meta, "cfg.json")) ? { metaPath: meta } : {}),
    };
  });
}

function trySummary(folder: string): { summary?: RunSummary; problem?: string } {
  try {
    return { summary: readRunSummary(join(folder, "run.jsonc")) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { problem: error.message };
  }
}

function readResult(folder: string): RunResult | undefined {
  const path = join(folder, "result.json");
  return exists(path) ? (readJson(path) as RunResult) : undefined;
}

function hasEntries(folder: string): boolean {
  return isFolder(folder) && listFolder(folder).some((it) => !it.endsWith(".tmp"));
}

/** The last line of a text file that is not empty. */
function lastWords(path: string): string | undefined {
  if (!exists(path)) return undefined;
  const size = fileSize(path);
  const bytes = new Uint8Array(Math.min(2000, size));
  const file = openFile(path);
  try {
    file.read(size - bytes.length, bytes);
  } finally {
    file.close();
  }
  const lines = new TextDecoder().decode(bytes).trimEnd().split("\n");
  return lines.at(-1)?.trim() || undefined;
}
