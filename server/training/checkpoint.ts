/**
 * Checkpoints of a run: one safetensors file each, written under a temporary name, flushed and renamed, so that one that has
 * its name is whole. A file holds, for every SAE of the run, what `Trainer.state` gave (parameters, Adam's averages,
 * counters) under `NAME/`, and in its metadata the step, which is also the position in the corpus: the batches are a function
 * of their number (`buffer.ts`).
 */
import { basename, join } from "node:path";
import { UserError } from "../base/errors.ts";
import { safetensorsPieces } from "../encoding/safetensors-pieces.ts";
import {
  readSafetensorsHeader,
  type SafetensorsHeader,
  safetensorsHeaderBytes,
} from "../encoding/safetensors.ts";
import { tensorFromBytes } from "../encoding/tensor-bytes.ts";
import { exists, fileSize, listFolder, readBytes } from "../files/disk.ts";
import { inFile } from "../files/errors.ts";
import { removePath } from "../files/folders.ts";
import { writePiecesAtomic } from "../files/write-pieces.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { noUsableCheckpoint, otherCheckpoint } from "./run-errors.ts";

/** What a checkpoint says beside tensors. */
export interface CheckpointFacts {
  /** Steps done. */
  readonly step: number;
  /** Number of the batch of step 0; those before it were shown to normalisations. */
  readonly firstBatch: number;
  /** Length of events.jsonl at that moment. */
  readonly eventsBytes: number;
  /** A key of all that decides the numbers of the run: a checkpoint is of no use under another config. */
  readonly runKey: string;
  /** Hash of the token windows, where the run reads some. */
  readonly tokens?: string;
  /** Seconds that the run took so far. */
  readonly seconds: number;
  /** SAEs that have ended early, with the reason; they have no tensors any more. */
  readonly ended: Readonly<Record<string, { readonly step: number; readonly reason: string }>>;
}

/** Tensors by SAE. */
export type States = ReadonlyMap<string, ReadonlyMap<string, Tensor>>;

/** A checkpoint as it was read. */
export interface Checkpoint {
  readonly path: string;
  readonly facts: CheckpointFacts;
  readonly states: States;
}

const format = "latent-workbench-checkpoint-1";
const namePattern = /^step-(\d+)\.safetensors$/;

/** The checkpoints of one run. */
export class Checkpoints {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Steps of the checkpoints that there are, the newest first. */
  steps(): number[] {
    if (!exists(this.folder)) return [];
    const found = listFolder(this.folder).map((name) => namePattern.exec(name)?.[1]);
    return found
      .filter((step) => step !== undefined)
      .map(Number)
      .sort((a, b) => b - a);
  }

  path(step: number): string {
    return join(this.folder, `step-${String(step).padStart(8, "0")}.safetensors`);
  }

  /** Writes a checkpoint; when this returns it is on the disk. */
  write(facts: CheckpointFacts, states: States): { path: string; bytes: number } {
    const tensors = new Map<string, Tensor>();
    for (const [sae, state] of states) {
      for (const [name, value] of state) tensors.set(`${sae}/${name}`, value);
    }
    const path = this.path(facts.step);
    const metadata = { format, facts: JSON.stringify(facts) };
    const { bytes } = writePiecesAtomic(path, safetensorsPieces(tensors, metadata));
    return { path, bytes };
  }

  /** Removes all but the newest `keep` checkpoints and those named. */
  prune(keep: number, named: ReadonlySet<number>): void {
    for (const step of this.steps().slice(keep)) if (!named.has(step)) removePath(this.path(step));
  }

  /** The newest checkpoint that can be read; undefined if there is none at all. */
  readLatest(runKey: string): Checkpoint | undefined {
    const problems: string[] = [];
    for (const step of this.steps()) {
      const path = this.path(step);
      try {
        return readCheckpoint(path, runKey);
      } catch (error) {
        if (!(error instanceof UserError) || error.code === "other-checkpoint") throw error;
        problems.push(error.message);
      }
    }
    if (problems.length > 0) throw noUsableCheckpoint(this.folder, problems);
    return undefined;
  }
}

/** Reads a checkpoint tensor by tensor: the whole may be larger than one array can be. */
function readCheckpoint(path: string, runKey: string): Checkpoint {
  const { tensors, metadata } = inFile(path, () => readHeader(path));
  if (metadata["format"] !== format) {
    throw otherCheckpoint(path, `its format is ${metadata["format"] ?? "not named"}`);
  }
  const facts = JSON.parse(metadata["facts"] ?? "{}") as CheckpointFacts;
  if (facts.runKey !== runKey) {
    throw otherCheckpoint(path, "run.jsonc has been changed since it was written");
  }
  if (Number(namePattern.exec(basename(path))?.[1]) !== facts.step) {
    throw otherCheckpoint(path, `it is of step ${facts.step}`);
  }
  const states = new Map<string, Map<string, Tensor>>();
  for (const [name, { dtype, dims, begin, end }] of tensors) {
    const slash = name.indexOf("/");
    const sae = name.slice(0, slash);
    const state = states.get(sae) ?? new Map<string, Tensor>();
    state.set(name.slice(slash + 1), tensorFromBytes(dtype, dims, readBytes(path, begin, end)));
    states.set(sae, state);
  }
  return { path, facts, states };
}

function readHeader(path: string): SafetensorsHeader {
  const size = fileSize(path);
  const length = safetensorsHeaderBytes(readBytes(path, 0, Math.min(8, size)), size);
  return readSafetensorsHeader(readBytes(path, 0, length), size);
}
