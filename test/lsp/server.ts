/** The built language server under test. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HeadlessClient, type HeadlessOptions } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";

/** Starts dist/main.js on the demo folder; `npm run build` must have run. */
export function startServer(options: Partial<HeadlessOptions> = {}): Promise<HeadlessClient> {
  const server = join(repoRoot, "dist/main.js");
  if (!existsSync(server)) throw new Error("dist/main.js is missing: run npm run build first");
  return HeadlessClient.start({
    server,
    workspaceFolder: join(repoRoot, "demo"),
    ...options,
  });
}

/** A file name in the demo's prompts folder, which the default patterns cover; nothing is written there. */
export function promptPath(name: string): string {
  return join(repoRoot, "demo/prompts", name);
}

/** The text of a hover, or undefined. */
export function textOf(hover: { contents: unknown } | null): string | undefined {
  return (hover?.contents as { value?: string } | undefined)?.value;
}

/** The child processes of a server by /proc, which only Linux has; the reader is the only one. */
export function childrenOf(pid = 0): number[] {
  const parentAt = 1;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => Number(statOf(child)?.[parentAt]) === pid);
}

/** Processor time of a server and its reader so far; undefined where there is no /proc. */
export function processorMs(pid = 0): number | undefined {
  if (process.platform !== "linux") return undefined;
  const [userAt, systemAt, ticksPerSecond] = [11, 12, 100];
  const ticks = [pid, ...childrenOf(pid)].map((it) => {
    const stat = statOf(it);
    return Number(stat?.[userAt] ?? 0) + Number(stat?.[systemAt] ?? 0);
  });
  return (ticks.reduce((sum, it) => sum + it, 0) / ticksPerSecond) * 1000;
}

/** Fields of /proc/PID/stat from the state on; undefined for a process that is gone. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
