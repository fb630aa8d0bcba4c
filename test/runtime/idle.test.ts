import { join } from "node:path";
import { expect, test } from "vitest";
import { runChild } from "./child-process.ts";

test("threads that have nothing to do do not spin", async () => {
  const report = await runChild<{
    threads: number;
    wall: number;
    busy: number;
    idle: number;
    idleWall: number;
  }>(join(import.meta.dirname, "idle-program.ts"));
  console.log(
    `runs: ${report.busy.toFixed(0)} cpu-ms in ${report.wall.toFixed(0)} ms; ` +
      `waits: ${report.idle.toFixed(1)} cpu-ms in ${report.idleWall} ms`,
  );
  // A spinning thread would take up to 100 % of the wait.
  expect(report.idle).toBeLessThan(0.05 * report.idleWall);
  // Two threads compute, and no others beside them (garbage collection and timers allowed for).
  expect(report.busy).toBeLessThan(1.1 * report.threads * report.wall + 20);
});
