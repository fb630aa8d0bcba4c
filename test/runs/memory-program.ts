/** Trains a tiny SAE for many steps with checkpoints, and prints the resident bytes after a warm-up and at the end. */
import { join } from "node:path";
import { train } from "../../server/engine/runs/train.ts";

const [file = "", folder = "", steps = "10000"] = process.argv.slice(2);
const samples: { step: number; rss: number }[] = [];

function sample(step: number): void {
  (globalThis as { gc?: () => void }).gc?.();
  samples.push({ step, rss: process.memoryUsage.rss() });
}

async function main(): Promise<void> {
  const every = Math.floor(Number(steps) / 10);
  await train({
    path: file,
    output: join(folder),
    resume: false,
    allowDifferences: false,
    priority: "normal",
    program: "test",
    steps: Number(steps),
    device: "cpu",
    threads: 1,
    signal: new AbortController().signal,
    onStep: ({ step }) => {
      if (step % every === every - 1) sample(step);
    },
    onProgress: () => {},
  });
  process.stdout.write(JSON.stringify(samples));
}

await main();
