/**
 * Runs as processes. They are children of nobody: a process group of their own, output into a file, so that neither a
 * window that reloads nor a server that ends takes them along. What is known of one lies in its folder: process.json,
 * which the run itself renews about every second, and before its first line launch.json, which says what was started.
 */
import { spawn } from "node:child_process";
import { hostname, uptime } from "node:os";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../files/disk.ts";
import { openForOutput } from "../files/output-file.ts";
import { commandOf } from "../files/process-table.ts";
import { readerEnvironment } from "../protocol/reader-environment.ts";

/** A process that has not been heard of for so long is taken for dead, even if its number is in use again. */
const silentMs = 60_000;

/** What a run says about itself while it runs. */
export interface RunBeat {
  readonly phase: string;
  readonly step: number;
  readonly etaSeconds?: number;
  /** Share of the phase that is done, where it is known. */
  readonly share?: number;
}

/** The process that works on a run now, as far as this machine can tell. */
export type RunLife =
  | { readonly state: "none" }
  | { readonly state: "alive"; readonly pid: number; readonly beat?: RunBeat }
  | { readonly state: "elsewhere"; readonly host: string; readonly beat: RunBeat };

/** What launch.json says. */
interface Launch {
  readonly pid: number;
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly started: number;
}

/** Starts `program VERB FOLDER` (it lowers its own priority); its output goes to run.log in the folder. */
export function spawnRun(program: string, folder: string, args: readonly string[]): void {
  const log = openForOutput(join(folder, "run.log"));
  try {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      detached: true,
      stdio: ["ignore", log.descriptor, log.descriptor],
      windowsHide: true,
      env: { ...process.env, ...readerEnvironment, ELECTRON_RUN_AS_NODE: "1" },
    });
    // Without a listener a program that is not there would end the server.
    child.on("error", () => {});
    const { pid } = child;
    if (pid === undefined)
      throw new UserError(
        "run-not-started",
        `${process.execPath} ${program} could not be started; reinstall the extension`,
      );
    child.unref();
    const launch: Launch = { pid, host: hostname(), started: Date.now() };
    writeFileAtomic(join(folder, "launch.json"), `${JSON.stringify(launch)}\n`);
  } finally {
    log.close();
  }
}

/** Whether a process works on a run. */
export function lifeOf(folder: string): RunLife {
  const found = readBeat(folder);
  if (found && Date.now() - Date.parse(found.beatAt) <= silentMs) {
    const { pid, host, ...beat } = found;
    if (host !== hostname()) return { state: "elsewhere", host, beat };
    if (isAlive(pid)) return { state: "alive", pid, beat };
  }
  const launch = readLaunch(folder);
  // After a restart of the machine the number belongs to somebody else.
  const isOfThisBoot = launch?.host === hostname() && launch.started > Date.now() - uptime() * 1000;
  if (launch && isOfThisBoot && isAlive(launch.pid)) return { state: "alive", pid: launch.pid };
  return { state: "none" };
}

/** When a run was last started from an editor; 0 if never. */
export function launchedAt(folder: string): number {
  return readLaunch(folder)?.started ?? 0;
}

/** Sends a signal to a run; one that has ended meanwhile is no mistake. */
export function signalRun(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function readBeat(
  folder: string,
): (RunBeat & { pid: number; host: string; beatAt: string }) | undefined {
  const found = readIfThere(join(folder, "process.json"));
  const isBeat = typeof found?.["pid"] === "number" && typeof found["beatAt"] === "string";
  return isBeat ? (found as unknown as ReturnType<typeof readBeat>) : undefined;
}

function readLaunch(folder: string): Launch | undefined {
  const found = readIfThere(join(folder, "launch.json"));
  return typeof found?.["pid"] === "number" && typeof found["started"] === "number"
    ? (found as unknown as Launch)
    : undefined;
}

/** A JSON file that its writer may take away at any moment. */
function readIfThere(path: string): Record<string, unknown> | undefined {
  if (!exists(path)) return undefined;
  try {
    return readJson(path) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof UserError && error.code === "file-not-found") return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    // It has ended, or the number belongs to somebody else's process by now.
    return false;
  }
  const command = commandOf(pid);
  return command === undefined || / (train|index)\b/.test(command);
}
