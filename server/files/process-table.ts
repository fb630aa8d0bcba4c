/** Which program a process is, where the system shows processes as files (Linux). */
import { existsSync, readFileSync } from "node:fs";

/**
 * The command line of a process with blanks between its parts; empty for one that has ended and whose parent did not
 * notice; undefined where it cannot be told.
 */
export function commandOf(pid: number): string | undefined {
  if (!existsSync("/proc/self/cmdline")) return undefined;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}
