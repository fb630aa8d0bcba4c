/** What can be wrong with a training config, what starts a trainer, or a step. */
import { UserError } from "../base/errors.ts";

/** A value of a config is not of the kind that its key says. */
export function badTrainConfig(place: {
  where: string;
  key: string;
  found: unknown;
  expected: string;
}): UserError {
  const { where, key, found, expected } = place;
  const what = found === undefined ? "is missing" : `is ${shown(found)}`;
  return new UserError("bad-train-config", `${where}: "${key}" ${what}; expected ${expected}`);
}

/** A key that no option has. */
export function unknownOption(where: string, key: string, known: readonly string[]): UserError {
  const list = known.length === 0 ? "" : `; known are ${known.join(", ")}`;
  return new UserError(
    "unknown-train-option",
    `${where}: there is no option "${key}"${list}: remove it or correct its name`,
  );
}

/** Options that contradict each other. */
export function conflictingOptions(where: string, problem: string): UserError {
  return new UserError("conflicting-train-options", `${where}: ${problem}`);
}

/** An option of another library whose effect is not implemented: training on would give other numbers. */
export function unsupportedOption(
  place: { where: string; key: string; found: unknown },
  supported: string,
): UserError {
  const { where, key, found } = place;
  return new UserError(
    "unsupported-train-option",
    `${where}: "${key}" is ${shown(found)}, which cannot be reproduced here; ${supported}`,
  );
}

/** A batch does not fit the config. */
export function wrongBatch(
  what: string,
  found: readonly number[],
  expected: readonly (number | string)[],
): UserError {
  return new UserError(
    "wrong-training-batch",
    `${what} of a batch has shape [${found.join(", ")}], expected [${expected.join(", ")}]: the activations were harvested from another model or hook point`,
  );
}

/** A starting value that is absent or of the wrong shape. */
export function badInitialParameter(place: {
  name: string;
  found: readonly number[] | undefined;
  expected: readonly number[];
  names: readonly string[];
}): UserError {
  const { name, found, expected, names } = place;
  const wanted = `[${expected.join(", ")}]`;
  return new UserError(
    "bad-initial-parameter",
    found === undefined
      ? `the initial weights have no ${name} ${wanted}; they have ${names.join(", ")}: they belong to another architecture`
      : `the initial ${name} has shape [${found.join(", ")}], expected ${wanted}: the weights and the config belong to different SAEs`,
  );
}

/** A checkpoint that this trainer did not write. */
export function badTrainerState(name: string, problem: string): UserError {
  return new UserError(
    "bad-trainer-state",
    `the checkpoint's "${name}" ${problem}: it belongs to a run with another config, so resuming it would not give the same SAE; start a new run or restore the config`,
  );
}

/** The loss is no number any more; nothing of the step was applied. */
export function lossNotFinite(step: number, part: string, value: number, lr: number): UserError {
  return new UserError(
    "loss-not-finite",
    `${part} is ${value} at step ${step} (learning rate ${lr}): the run diverged or its activations are damaged; the parameters are as they were before this step; lower lr, lengthen the warm-up, or look at the activations`,
  );
}

/** The trainer needs statistics that it has not been shown. */
export function statisticsMissing(seen: number, needed: number): UserError {
  return new UserError(
    "training-statistics-missing",
    `the activation normalisation is estimated from ${needed} batches, but ${seen} were shown before the first step; harvest more tokens or lower "normalizeActivations.batches"`,
  );
}

/** All activations that statistics were taken of are zero, or there are none. */
export function noSpread(what: string, found: number): UserError {
  return new UserError(
    "activations-without-spread",
    `${what} of the activations is ${found}, so they cannot be scaled; expected a positive number: look at the harvested activations`,
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
