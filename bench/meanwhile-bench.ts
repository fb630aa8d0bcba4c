/**
 * What an editor waits for while SAEs are trained on the same machine: hovers from the cache and after a typed character, through
 * the language server, with and without a run at low priority, in turns. `npm run bench -- meanwhile [--json] [--threads N] [--quick]`.
 *
 * Editor and run read SmolLM2-135M at layer 9; the run computes activations and trains a BatchTopK SAE of 9,216 latents, 2,048
 * rows a step. "Peer" here is the same server while nothing is trained.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { OursOptions } from "./hover-ours.ts";
import { type ServerTimes, timeServer } from "./hover-server.ts";
import { HoverTexts } from "./hover-texts.ts";
import { repoRoot, shared } from "./places.ts";
import { median, printReport, quantile, ratioOf, type Row, thisMachine } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const tokens = 128;
const turns = flags.quick ? 1 : 3;
/** A run takes its first step after filling its buffer. */
const startMs = 180_000;
const options: OursOptions = {
  lm: shared("models/smollm2"),
  sae: shared("models/saes/smollm2-l9-w9216-k32-f16"),
  threads: Number(flags.threads),
  device: "cpu",
};
const corpus = shared("corpus/moby-dick.txt.gz");
const machine = thisMachine({});
const notRun = [options.lm, options.sae, corpus]
  .filter((path) => !existsSync(path))
  .map((path) => `${path} is missing`);
printReport(
  {
    bench: "meanwhile",
    machine,
    rows: notRun.length === 0 ? await measure() : [],
    checks: [],
    notRun,
  },
  flags.json,
);

async function measure(): Promise<Row[]> {
  const texts = new HoverTexts(options.lm);
  const quiet: ServerTimes[] = [];
  const busy: ServerTimes[] = [];
  for (let turn = 0; turn < turns; turn++) {
    console.error(`… turn ${turn + 1} of ${turns}: nothing is trained`);
    quiet.push(await timeServer(texts.fresh(tokens, turn), options));
    console.error(`… turn ${turn + 1} of ${turns}: a run works`);
    const run = await startRun();
    try {
      busy.push(await timeServer(texts.fresh(tokens, turn), options));
      if (run.process.exitCode !== null) throw new Error("the run ended before the hovers did");
    } finally {
      await run.stop();
    }
  }
  const row = (
    what: string,
    key: "cachedMs" | "firstMs" | "typedMs",
    q: number | undefined,
  ): Row => {
    const figure = (all: readonly ServerTimes[]): number | null => {
      const samples = all.flatMap((it) => it[key]);
      return q === undefined ? median(samples) : quantile(samples, q);
    };
    const [oursMs, peerMs] = [figure(busy), figure(quiet)];
    return {
      what: `${what}, ${q === undefined ? "median" : "99th percentile"}`,
      oursMs,
      peer: "without a run",
      peerMs,
      ratio: ratioOf(oursMs, peerMs),
      oursPeakMB: null,
      peerPeakMB: null,
      oursSamples: busy.flatMap((it) => it[key]),
      peerSamples: quiet.flatMap((it) => it[key]),
    };
  };
  return [
    row("hover from cache", "cachedMs", undefined),
    row("hover from cache", "cachedMs", 0.99),
    row("first hover on a token", "firstMs", undefined),
    row("first hover on a token", "firstMs", 0.99),
    row("hover after a typed character", "typedMs", undefined),
    row("hover after a typed character", "typedMs", 0.99),
  ];
}

/** Starts a run as the editor does and waits until it trains. */
async function startRun(): Promise<{ process: ChildProcess; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-run-"));
  const file = join(folder, "run.jsonc");
  const train = { architecture: "batchtopk", d_sae: 9216, k: 32, steps: 100_000, lr: 1e-3 };
  const config = {
    data: { kind: "files", lm: options.lm, files: [corpus], ctx: 128, maxTokens: 100_000 },
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
