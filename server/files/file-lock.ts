/** One process at a time for one file, by a lock file beside it, which every file system has. */
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { unwritableFile } from "./errors.ts";

/** A lock whose holder has not touched it for so long is nobody's; holders touch it much more often. */
const staleMs = 30_000;
const touchMs = 2000;
const pollMs = 200;

/**
 * Runs `work` while no other process, and nobody else in this one, works on `path`; waits for its turn. A lock that
 * somebody left who is gone counts for nothing.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const lock = `${path}.lock`;
  const own = `${process.pid} ${hostname()} ${randomUUID()}`;
  await take(lock, own, signal);
  const touch = setInterval(() => touched(lock), touchMs);
  touch.unref();
  try {
    return await work();
  } finally {
    clearInterval(touch);
    if (contentOf(lock) === own) rmSync(lock, { force: true });
  }
}

async function take(lock: string, own: string, signal?: AbortSignal): Promise<void> {
  // Clocks of other machines differ, so what counts is how long we saw no change.
  let seen = "";
  let since = performance.now();
  while (!tryTake(lock, own)) {
    const holder = contentOf(lock);
    const state = `${holder} ${statSync(lock, { throwIfNoEntry: false })?.mtimeMs}`;
    if (state !== seen) since = performance.now();
    seen = state;
    const isStale = isGone(holder) || performance.now() - since > staleMs;
    if (holder !== undefined && isStale) remove(lock, holder);
    else await sleep(pollMs, undefined, signal ? { signal } : {});
  }
}

function tryTake(lock: string, own: string): boolean {
  try {
    writeFileSync(lock, own, { flag: "wx" });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw unwritableFile(lock, cause);
  }
}

/** Takes a stale lock away, unless another process has done so and holds it now. */
function remove(lock: string, holder: string): void {
  const aside = `${lock}.${randomUUID()}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  if (contentOf(aside) === holder) rmSync(aside, { force: true });
  else renameSync(aside, lock);
}

/** True if the holder is a process of this machine that has ended. */
function isGone(holder: string | undefined): boolean {
  const [pid, host] = holder?.split(" ") ?? [];
  if (pid === undefined || host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function touched(lock: string): void {
  try {
    const now = new Date();
    utimesSync(lock, now, now);
  } catch {
    // Taken away by hand; the hash decides about what was written.
  }
}

function contentOf(lock: string): string | undefined {
  try {
    return readFileSync(lock, "utf8");
  } catch {
    return undefined;
  }
}
