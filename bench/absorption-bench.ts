/**
 * Absorption of one SAE by SAEBench's recipes, SmolLM2-135M, layer 9, 9,216 latents: ours as `absorption` runs it with an empty
 * cache, and a torch script with the same stages (`bench/python/absorption_peer.py` says which, and what it leaves out in its favour).
 * `npm run bench -- absorption [--json] [--threads N] [--quick]`.
 *
 * Whole processes are timed, start and loading included on our side, left out on theirs. One run a side: it takes minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AbsorptionReport } from "../server/protocol/absorption.ts";
import { convertModel } from "./hover-peers.ts";
import { findPython, repoRoot, shared } from "./places.ts";
import { printReport, ratioOf, type Row, thisMachine } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const layer = "9";
const perLabel = flags.quick ? "12" : "40";
const model = shared("models/smollm2");
const sae = shared("models/saes/smollm2-l9-w9216-k32-f16");
const versions: Record<string, string> = {};
const machine = thisMachine(versions);
const rows: Row[] = [];
const checks: string[] = [];
const notRun = [model, sae].filter((path) => !existsSync(path)).map((it) => `${it} is missing`);
const python = findPython();
if (python === undefined)
  notRun.push("the Python peer: no LATENT_WORKBENCH_PYTHON and no .cache/venv (.ci/run makes it)");
if (existsSync(model) && existsSync(sae)) main();
printReport({ bench: "absorption", machine, rows, checks, notRun }, flags.json);

interface PeerAnswer {
  readonly ms: number;
  readonly words: number;
  readonly fraction: number;
  readonly stages: Readonly<Record<string, number>>;
  readonly peakMB: number;
  readonly versions: Readonly<Record<string, string>>;
}

function main(): void {
  const args = ["--lm", model, "--sae", sae, "--json", "--threads", flags.threads];
  args.push("--words-per-label", perLabel, "--probe", "sae-bench", "--selection", "sae-bench");
  console.error("… ours");
  const started = performance.now();
  const out = run(process.execPath, [join(repoRoot, "dist/cli.js"), "absorption", ...args], {
    XDG_CACHE_HOME: mkdtempSync(join(tmpdir(), "latent-workbench-bench-")),
  });
  const oursMs = performance.now() - started;
  const report = (JSON.parse(out) as { saes: AbsorptionReport[] }).saes[0]!;
  const words = report.trainWords + report.testWords;
  const readings = report.labels.flatMap((it) => it.words);
  const fraction = readings.reduce((sum, it) => sum + it.fraction, 0) / readings.length;
  let peer: PeerAnswer | undefined;
  if (python !== undefined) {
    console.error("… torch");
    const script = join(repoRoot, "bench/python/absorption_peer.py");
    const peerArgs = [script, convertModel(python, model), sae, layer, perLabel, flags.threads];
    peer = JSON.parse(run(python, peerArgs).trim().split("\n").at(-1) ?? "") as PeerAnswer;
    Object.assign(versions, peer.versions);
  }
  rows.push({
    what: `absorption, ${words} words`,
    oursMs,
    peer: "torch, SAEBench's stages",
    peerMs: peer?.ms ?? null,
    ratio: ratioOf(oursMs, peer?.ms ?? null),
    oursPeakMB: null,
    peerPeakMB: peer?.peakMB ?? null,
  });
  const theirs = peer ? `, torch ${peer.fraction.toFixed(3)} over ${peer.words}` : "";
  checks.push(`mean fraction: ours ${fraction.toFixed(3)} over ${words} words${theirs}`);
  if (peer) {
    const stages = Object.entries(peer.stages).map(([name, ms]) => `${name} ${ms}`);
    checks.push(`torch's stages in ms: ${stages.join(", ")}`);
  }
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.slice(-2000)}`);
  return stdout;
}
