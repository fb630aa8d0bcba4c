/**
 * The runtime room's user errors.
 */
import { UserError } from "../base/errors.ts";
import type { DeviceReport, MemoryItem } from "../protocol/reader.ts";

/** The device that the settings name cannot be used. */
export function deviceRefused(reports: readonly DeviceReport[]): UserError {
  const reasons = reports.map(({ device, refusal }) => `${device}: ${refusal ?? "usable"}`);
  return new UserError(
    "deviceRefused",
    `no usable device (${reasons.join("; ")}). Choose another with the setting latentWorkbench.device`,
  );
}

/** What is asked for does not fit the memory budget; the text is a table of all that would be in memory. */
export function doesNotFit(items: readonly MemoryItem[], budget: number): UserError {
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = items.map(({ what, bytes }) => `  ${mebibytes(bytes).padStart(10)}  ${what}`);
  return new UserError(
    "doesNotFit",
    [
      `needs ${mebibytes(total)} where latentWorkbench.memoryBudget allows ${mebibytes(budget)}:`,
      ...rows,
      "Raise the budget, unload a model or SAE, or choose smaller ones",
    ].join("\n"),
  );
}

/** The device ran out of memory during a load or a run. */
export function outOfMemory(label: string, cause: unknown): UserError {
  return new UserError(
    "outOfMemory",
    `${label}: the device is out of memory. Unload a model or SAE, or choose the device cpu`,
    { cause },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;
}
