/** What a run leaves: finished SAEs in SAELens's format, trained parameters, and its result. */
import { basename, join } from "node:path";
import { safetensorsPieces } from "../../encoding/safetensors-pieces.ts";
import { writeFileAtomic } from "../../files/disk.ts";
import { writePiecesAtomic } from "../../files/write-pieces.ts";
import { saeId } from "../../sae/sae-id.ts";
import type { FinishedSae } from "../../training/finished-sae.ts";
import type { RunEnding, RunFolder } from "../../training/run-folder.ts";
import type { StepResult } from "../../training/trainer.ts";
import type { RunningSae } from "./running-sae.ts";
import type { RunSession } from "./run-session.ts";
import type { TrainLoop } from "./train-loop.ts";

/** Figures of a finished SAE by their names. */
export type SaeQuality = Readonly<Record<string, number>>;

/** One SAE in `result.json`. */
export interface SaeResult {
  readonly name: string;
  readonly state: "finished" | "unfinished" | "failed";
  readonly reason?: string;
  /** Folder of the finished SAE, relative to the run's. */
  readonly path?: string;
  /** Folder of the meta-SAE that was trained against it. */
  readonly metaPath?: string;
  /** Figures on the data themselves: of a meta-SAE on all decoder rows, and on shuffled ones. */
  readonly quality?: SaeQuality;
  readonly steps: number;
  readonly swept?: Readonly<Record<string, unknown>>;
  /** The last step's figures. */
  readonly last?: StepResult;
}

/** `result.json`. */
export interface RunResult extends RunEnding {
  readonly step: number;
  readonly steps: number;
  /** Steps that this process took. */
  readonly stepsRun: number;
  /** Step at which this process took over; null for one that began. */
  readonly resumedFrom: number | null;
  readonly seconds: number;
  readonly rows: number;
  /** The newest checkpoint, relative to the run's folder. */
  readonly checkpoint?: string;
  /** Whether the end is the same as that of a run that was never interrupted. */
  readonly bitIdentical: boolean;
  /** Why not. */
  readonly differences: readonly string[];
  readonly saes: readonly SaeResult[];
}

/** Writes `sae/` and the trained parameters of every SAE that was not given up. */
export function writeOutputs(folder: RunFolder, saes: readonly RunningSae[]): void {
  for (const sae of saes) {
    if (sae.ended) continue;
    const { parameters, finished, meta } = placesOf(sae.name, saes.length);
    writePiecesAtomic(folder.file(parameters), safetensorsPieces(sae.trainer.parameters()));
    writeSae(folder.file(finished), sae.trainer.finish());
    const { adversary } = sae.trainer;
    if (adversary === undefined) continue;
    const { tensors, cfg } = adversary.finish();
    const facts = metaFacts(sae.sae.train.metadata, saeId(folder.file(finished), []));
    const metadata = { ...(cfg["metadata"] as object), ...facts };
    writeSae(folder.file(meta), { tensors, cfg: { ...cfg, metadata } });
  }
}

/** Facts for the `metadata` of an SAE that reads the decoder rows of another, by that one's facts and id. */
export function metaFacts(
  parent: Readonly<Record<string, unknown>>,
  id: string,
): Readonly<Record<string, unknown>> {
  return { ...parent, meta_of: id, input: "unit-norm W_dec rows" };
}

function writeSae(place: string, { tensors, cfg }: FinishedSae): void {
  writePiecesAtomic(join(place, "sae_weights.safetensors"), safetensorsPieces(tensors));
  writeFileAtomic(join(place, "cfg.json"), `${JSON.stringify(cfg, undefined, 2)}\n`);
}

/** Figures of finished SAEs on the data themselves, by the SAEs' names; none where the data have no such figures. */
export async function qualities(
  folder: RunFolder,
  { saes, quality }: RunSession,
): Promise<ReadonlyMap<string, SaeQuality>> {
  const found = new Map<string, SaeQuality>();
  if (!quality) return found;
  for (const { name, ended } of saes)
    if (!ended) found.set(name, await quality(folder.file(placesOf(name, saes.length).finished)));
  return found;
}

/** The result of a process that opened its run. */
export function resultOf(
  ending: RunEnding,
  folder: RunFolder,
  { run, saes, checkpoint }: RunSession,
  loop: TrainLoop,
  found: ReadonlyMap<string, SaeQuality> = new Map(),
): RunResult {
  const resumedFrom = checkpoint?.facts.step ?? null;
  const newest = folder.checkpoints.steps()[0];
  const differences = [...(run.differences ?? [])];
  // On other devices sums may be taken in another order each time.
  if (run.environment.device !== "cpu" && resumedFrom !== null) {
    differences.push(`resumed on ${run.environment.device}, whose sums have no fixed order`);
  }
  return {
    ...ending,
    step: loop.step,
    steps: run.steps,
    stepsRun: loop.stepsRun,
    resumedFrom,
    seconds: loop.seconds,
    rows: loop.step * run.batch,
    ...(newest === undefined
      ? {}
      : { checkpoint: join("checkpoints", basename(folder.checkpoints.path(newest))) }),
    bitIdentical: differences.length === 0,
    differences,
    saes: saes.map((sae) => saeResult(sae, saes.length, { ending, quality: found.get(sae.name) })),
  };
}

function saeResult(
  sae: RunningSae,
  n: number,
  { ending, quality }: { ending: RunEnding; quality: SaeQuality | undefined },
): SaeResult {
  const { name, ended, last, trainer } = sae;
  const isFinished = ending.state === "finished";
  const { swept } = sae.sae;
  return {
    name,
    state: ended ? "failed" : isFinished ? "finished" : "unfinished",
    ...(ended ? { reason: ended.reason } : {}),
    ...(isFinished && !ended ? { path: placesOf(name, n).finished } : {}),
    ...(isFinished && !ended && trainer.adversary ? { metaPath: placesOf(name, n).meta } : {}),
    ...(quality === undefined ? {} : { quality }),
    steps: ended?.step ?? trainer.steps,
    ...(swept === undefined ? {} : { swept }),
    ...(last === undefined ? {} : { last }),
  };
}

function placesOf(name: string, n: number): { parameters: string; finished: string; meta: string } {
  return n === 1
    ? { parameters: "parameters.safetensors", finished: "sae", meta: "meta-sae" }
    : {
        parameters: join("parameters", `${name}.safetensors`),
        finished: join("sae", name),
        meta: join("meta-sae", name),
      };
}
