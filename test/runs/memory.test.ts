// A long run keeps its memory: after the first thousand of 10,000 steps it does not grow.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { repoRoot } from "../parts.ts";
import { bundleProgram, scratch } from "./run-cli.ts";
import { tinyTrain, writeRun } from "./tiny-run.ts";

const nSteps = 10_000;

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test(`memory is flat over ${nSteps} steps`, async () => {
  const file = writeRun("memory", {
    data: { kind: "decoder-rows", sae: join(repoRoot, "demo/saes/resid2-1024") },
    batch: 64,
    buffer: { rows: 300 },
    sae: { train: { ...tinyTrain, steps: nSteps } },
    checkpoint: { everySteps: 100 },
  });
  const program = await bundleProgram("test/runs/memory-program.ts");
  const args = ["--expose-gc", program, file, join(scratch, "memory"), String(nSteps)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const samples = JSON.parse(stdout) as { step: number; rss: number }[];
  expect(samples.length).toBe(10);
  const [first, ...rest] = samples.map(({ rss }) => rss / 2 ** 20);
  // Measured: 2 to 4 MiB up and down. Kept batches would be 16 KB a step, 150 MiB in all.
  expect(Math.max(...rest) - first!).toBeLessThan(12);
}, 240_000);
