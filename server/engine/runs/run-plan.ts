/** Which folder and which config a call of `train` means: a new run, a replay, or one to resume. */
import { basename, dirname, join, resolve } from "node:path";
import { exists, isFolder, readText, writeFileAtomic } from "../../files/disk.ts";
import { RunFolder } from "../../training/run-folder.ts";
import { noRun, runExists } from "./errors.ts";
import { parseRunConfig, type RunConfig } from "./run-config.ts";
import type { TrainRequest } from "./train.ts";

/** A run before anything is opened. */
export interface RunPlan {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  /** Where the config was read, for errors. */
  readonly where: string;
  /** Whether the run was started before. */
  readonly resumes: boolean;
}

/** Name under which a config that a start replaces by the complete one is kept. */
const givenName = "run.given.jsonc";

/** Finds folder and config; throws if a new run would overwrite one, or if there is nothing to resume. */
export function planRun(request: TrainRequest): RunPlan {
  const path = resolve(request.path);
  const where = isFolder(path) ? join(path, "run.jsonc") : path;
  if (isFolder(path) && !exists(where)) throw noRun(path);
  const text = readText(where);
  const parsed = parseRunConfig(text, where, dirname(where));
  const started = parsed.environment !== undefined;
  const folder = new RunFolder(
    started && request.output === undefined ? dirname(where) : outputOf(request, where),
  );
  if (request.resume) {
    const own = new RunFolder(folder.path);
    if (!own.hasConfig) throw noRun(own.path);
    const config = parseRunConfig(own.readConfig(), own.configPath, own.path);
    if (config.environment === undefined) throw noRun(own.path);
    return { folder, config: overridden(config, request), where: own.configPath, resumes: true };
  }
  if (folder.hasConfig) {
    const there = parseRunConfig(folder.readConfig(), folder.configPath, folder.path);
    if (there.environment !== undefined) throw runExists(folder.path);
    if (where === folder.configPath) writeFileAtomic(folder.file(givenName), text);
  }
  // A config of a run elsewhere is a recipe: where and with what it ran is not.
  const {
    environment: _environment,
    inputs: _inputs,
    differences: _differences,
    ...recipe
  } = parsed;
  return { folder, config: overridden(recipe, request), where, resumes: false };
}

/** `--output`; else the folder of a `run.jsonc`, or one beside the file with its name. */
function outputOf({ output }: TrainRequest, where: string): string {
  if (output !== undefined) return resolve(output);
  const name = basename(where);
  if (name === "run.jsonc") return dirname(where);
  return join(dirname(where), name.replace(/(\.run)?\.jsonc?$/, ""));
}

function overridden(config: RunConfig, request: TrainRequest): RunConfig {
  const { batches, init, steps, device, threads } = request;
  const replays = batches !== undefined;
  return {
    ...config,
    ...(replays ? { data: { kind: "batches", file: resolve(batches), epochs: 0 } as const } : {}),
    ...(steps === undefined ? {} : { steps }),
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
    saes: config.saes.map((sae) => ({
      ...sae,
      ...(replays ? { hook: null, hookOut: null } : {}),
      ...(init === undefined
        ? {}
        : { init: { kind: "file", file: resolve(init.file), prefix: init.prefix } as const }),
    })),
  };
}
