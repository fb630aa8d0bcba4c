/** A run so small that a hundred of them take seconds: random batches, 16 dimensions, 64 latents. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { seeded } from "../random.ts";
import { jsonLines, scratch } from "./run-cli.ts";

/** Arguments under which all runs of a test give equal bits. */
export const sameMachine: readonly string[] = ["--device", "cpu", "--threads", "1"];

/** A file of batches `[batches, 32, 16]`. */
export function writeBatches(name: string, batches = 16): string {
  const random = seeded(7);
  const data = Float32Array.from({ length: batches * 32 * 16 }, () => random() - 0.5 + random());
  const file = join(scratch, name);
  const tensors = new Map([["batches", tensor("float32", [batches, 32, 16], data)]]);
  writeFileSync(file, writeSafetensors(tensors));
  return file;
}

/** Options of a small BatchTopK SAE. */
export const tinyTrain = {
  architecture: "batchtopk",
  k: 4,
  d_sae: 64,
  steps: 200,
  lr: 1e-3,
  dead: { after: 10 },
} as const;

/** Writes a run file and returns its path. */
export function writeRun(name: string, run: Readonly<Record<string, unknown>>): string {
  mkdirSync(scratch, { recursive: true });
  const file = join(scratch, `${name}.jsonc`);
  writeFileSync(file, JSON.stringify(run));
  return file;
}

/** The step lines of a run's log, without what differs between equal runs. */
export function stepsOf(folder: string): Record<string, unknown>[] {
  return jsonLines(readFileSync(join(folder, "events.jsonl"), "utf8"))
    .filter(({ event }) => event === "step")
    .map(({ time: _time, rowsPerSecond: _speed, ...rest }) => rest);
}
