/** What can be wrong with the folder of a run. */
import { UserError } from "../base/errors.ts";

/** Another process works on this run. */
export function runIsAlive(folder: string, pid: number, host: string): UserError {
  return new UserError(
    "run-is-alive",
    `${folder} is being run by process ${pid} on ${host}; stop it first (an empty file named stop in the folder does that)`,
  );
}

/** A checkpoint that was not written by the run of this folder. */
export function otherCheckpoint(path: string, problem: string): UserError {
  return new UserError(
    "other-checkpoint",
    `${path} does not belong to this run: ${problem}; put its run.jsonc back, or start a new run`,
  );
}

/** The log is shorter than at the time of the checkpoint. */
export function eventsCut(path: string, bytes: number, expected: number): UserError {
  return new UserError(
    "events-cut",
    `${path} has ${bytes} bytes, but had ${expected} at the last checkpoint; put it back, or start a new run`,
  );
}

/** Every checkpoint of a folder is damaged. */
export function noUsableCheckpoint(folder: string, problems: readonly string[]): UserError {
  return new UserError(
    "no-usable-checkpoint",
    `no checkpoint in ${folder} can be read: ${problems.join("; ")}; start a new run`,
  );
}
