/** How a run shares the machine with an editor. */
import { constants, setPriority } from "node:os";

/** `low`: whoever else wants the processor gets it first, hovers among them. */
export type RunPriority = "low" | "normal";

/** Lowers the priority of this process. Call it before sessions are opened: their threads inherit it. */
export function lowerPriority(priority: RunPriority): void {
  if (priority === "low") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
}
