// A full disk ends a run with the reason in result.json, and with a checkpoint to go on from.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { describePart } from "../parts.ts";
import { json, runCli, scratch } from "./run-cli.ts";
import { sameMachine, tinyTrain, writeBatches, writeRun } from "./tiny-run.ts";

const disk = join(scratch, "small-disk");

afterAll(() => {
  // It says so where nothing is mounted.
  spawnSync("umount", [disk]);
  rmSync(scratch, { recursive: true, force: true });
});

describePart(mountSmallDisk(), "on a disk that is too small", () => {
  test("the run ends with the reason and a usable checkpoint", async () => {
    const folder = join(disk, "run");
    const file = writeRun("full", {
      data: { kind: "batches", file: writeBatches("batches.safetensors") },
      sae: { train: { ...tinyTrain, steps: 1_000_000 } },
      log: { everySteps: 1 },
    });
    const { code, err } = await runCli("train", file, "--output", folder, ...sameMachine);
    expect(code).toBe(1);
    expect(err).toMatch(/no space left on device; check space/);
    const result = json(folder, "result.json");
    expect(result).toMatchObject({ state: "failed", reason: { code: "disk-full" } });
    expect(result["checkpoint"]).toMatch(/step-\d+\.safetensors$/);
    execFileSync("mount", ["-o", "remount,size=8m", disk]);
    const from = Number(/step-(\d+)/.exec(String(result["checkpoint"]))![1]);
    const steps = String(from + 4);
    expect((await runCli("train", folder, "--resume", "--steps", steps)).err).toBe("");
    expect(json(folder, "result.json")).toMatchObject({ state: "finished", resumedFrom: from });
  }, 240_000);
});

/** What is missing to have a small disk; undefined when it is there. */
function mountSmallDisk(): string | undefined {
  mkdirSync(disk, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], { stdio: "ignore" });
    return undefined;
  } catch {
    return "the right to mount a small disk";
  }
}
