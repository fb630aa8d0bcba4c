/** A run that trains while something else is measured. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repoRoot } from "./places.ts";

/** A run takes its first step after filling its buffer. */
const startMs = 180_000;

/** Starts a run as the editor does and waits until it trains. */
export async function startRun({
  lm,
  corpus,
}: {
  lm: string;
  corpus: string;
}): Promise<{ process: ChildProcess; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-run-"));
  const file = join(folder, "run.jsonc");
  const train = { architecture: "batchtopk", d_sae: 9216, k: 32, steps: 100_000, lr: 1e-3 };
  const config = {
    data: { kind: "files", lm, files: [corpus], ctx: 128, maxTokens: 100_000 },
    buffer: { rows: 8192 },
    checkpoint: { everySeconds: 600 },
    sae: { train },
  };
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [join(repoRoot, "dist/cli.js"), "train", file], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const log = join(folder, "events.jsonl");
  const began = performance.now();
  while (!existsSync(log) || !readFileSync(log, "utf8").includes('"event":"step"')) {
    if (child.exitCode !== null || performance.now() - began > startMs) {
      await stop();
      throw new Error("the run took no step");
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { process: child, stop };
}
