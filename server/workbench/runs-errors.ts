/** What can be wrong when a run is started, stopped or removed. */
import { UserError } from "../base/errors.ts";

/** The folder is none of the workspace's runs; only those are started and removed. */
export function notARun(folder: string, runsFolder: string): UserError {
  return new UserError(
    "not-a-run",
    `${folder} is not a run of this workspace: expected a folder with run.jsonc inside ${runsFolder} (latentWorkbench.runsFolder)`,
  );
}

/** The run is a process already. */
export function alreadyRunning(name: string, pid: number): UserError {
  return new UserError(
    "already-running",
    `${name} is running already, as process ${pid}; stop it first`,
  );
}

/** Nothing is left to do. */
export function alreadyFinished(name: string): UserError {
  return new UserError(
    "already-finished",
    `${name} is finished; to train again, copy its run.jsonc to another name and start from there`,
  );
}

/** Only a run that does not run can be removed. */
export function stillRunning(name: string, pid: number): UserError {
  return new UserError(
    "still-running",
    `${name} is still running, as process ${pid}; stop it before you delete it`,
  );
}

/** The run was made on another machine, whose processes cannot be seen from here. */
export function runsElsewhere(name: string, host: string): UserError {
  return new UserError(
    "runs-elsewhere",
    `${name} runs on ${host} now; stop it first, and wait until it has ended`,
  );
}

/** A workspace that nobody trusts starts no programs and names no models. */
export function untrustedWorkspace(): UserError {
  return new UserError(
    "untrusted-workspace",
    "runs are started and removed in trusted workspaces only; trust this workspace first",
  );
}

/** No folder is open that runs could be kept in. */
export function noWorkspaceFolder(): UserError {
  return new UserError(
    "no-workspace-folder",
    "no folder is open, so there is no place for runs: open a folder, or set latentWorkbench.runsFolder to an absolute path",
  );
}

/** There is nothing to use yet. */
export function noFinishedSae(name: string): UserError {
  return new UserError(
    "no-finished-sae",
    `${name} has no finished SAE yet: wait until it is finished, or resume it`,
  );
}

/** A run file that cannot be read as one. */
export function badRunFile(path: string, problem: string): UserError {
  return new UserError("bad-run-file", `${path}: ${problem}`);
}
