/** Reads the sweep that the command line wrote into a folder. */
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { exists, readJson } from "../files/disk.ts";
import { type AbsorptionSweep, sweepFile } from "../protocol/absorption-sweep.ts";

type Kinds = Readonly<Record<string, "string" | "number" | "boolean" | "object">>;

/** What a page draws, so that a file of another program cannot make it fail half-way. */
const kinds = {
  sweep: { lm: "string", task: "string", corpus: "object", rows: "object", failed: "object" },
  row: { sae: "string", hook: "string", architecture: "string", d_sae: "number", l0: "number" },
  lists: { mean: "object", labels: "object", frequency: "object", trainedWith: "object" },
  mean: { labels: "number", mainF1: "number", fullRate: "number", fraction: "number" },
  label: { label: "string", fullRate: "number", meanFraction: "number", words: "number" },
  bin: { from: "number", words: "number", fullRate: "number", meanFraction: "number" },
} as const satisfies Record<string, Kinds>;

/** The sweep of a folder; an error says what was found in its place. */
export function readSweep(folder: string): AbsorptionSweep {
  const path = join(folder, sweepFile);
  if (!exists(path))
    throw new UserError(
      "no-sweep",
      `${folder} holds no ${sweepFile}; expected a folder that "latent-workbench absorption --output" wrote`,
    );
  const value = readJson(path) as AbsorptionSweep;
  if (!isSweep(value))
    throw new UserError(
      "bad-sweep",
      `${path} is no sweep of this version; expected schemaVersion 1 and kind "absorption-sweep", as "latent-workbench absorption --output" writes it: run that again`,
    );
  return value;
}

function isSweep(value: AbsorptionSweep): boolean {
  return (
    has(value, kinds.sweep) &&
    value.schemaVersion === 1 &&
    value.kind === "absorption-sweep" &&
    [value.rows, value.failed, value.waiting, value.corpus.files].every((it) =>
      Array.isArray(it),
    ) &&
    value.rows.every(
      (row) =>
        has(row, { ...kinds.row, ...kinds.lists }) &&
        has(row.mean, kinds.mean) &&
        [row.labels, row.frequency, row.trainedWith].every((it) => Array.isArray(it)) &&
        row.labels.every((it) => has(it, kinds.label)) &&
        row.frequency.every((it) => has(it, kinds.bin)),
    )
  );
}

function has(value: unknown, wanted: Kinds): boolean {
  if (typeof value !== "object" || value === null) return false;
  const entries = value as Record<string, unknown>;
  return Object.entries(wanted).every(
    ([key, kind]) => typeof entries[key] === kind && entries[key] !== null,
  );
}
