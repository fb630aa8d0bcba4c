/** Peak resident memory of processes, from the kernel. */
import { readFileSync, readdirSync } from "node:fs";

/** Sum of the peaks of a process and its children, MB; null where there is no /proc. */
export function peakOfTree(pid: number): number | null {
  const own = peakOf(pid);
  if (own === null) return null;
  return childrenOf(pid).reduce((sum, child) => sum + (peakOfTree(child) ?? 0), own);
}

function peakOf(pid: number): number | null {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(proc(`${pid}/status`));
  return match ? Number(match[1]) / 1024 : null;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      proc(`${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function proc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}
