/**
 * Absorption of one SAE by SAEBench's recipes, SmolLM2-135M, layer 9, 9,216 latents: ours as `absorption` runs it with an empty
 * cache; sae-bench itself (`bench/python/saebench_peer.py`); and a torch script with the same stages
 * (`bench/python/absorption_peer.py`). Both say what is left out in their favour.
 * `npm run bench -- absorption [--json] [--threads N] [--quick]`.
 *
 * sae-bench's own list of packages contradicts the pinned ones, though it runs with them: `pip install --no-deps sae-bench==0.6.0
 * scikit-learn joblib threadpoolctl tabulate` into the environment, or into a folder that PYTHONPATH names.
 *
 * Whole processes are timed, start and loading included on our side, left out on theirs. One run a side: it takes minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
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
const peers = [
  { name: "sae-bench", script: "saebench_peer.py", needs: "sae_bench.evals.absorption.main" },
  { name: "torch, SAEBench's stages", script: "absorption_peer.py", needs: "torch" },
] as const;
const layer = "9";
const perLabel = flags.quick ? "6" : "40";
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
  readonly cpuMs: number;
  readonly words: number;
  readonly fraction: number;
  readonly stages?: Readonly<Record<string, number>>;
  readonly peakMB: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** What a process of ours took, as `process.resourceUsage` has it. */
interface Usage {
  readonly userCPUTime: number;
  readonly systemCPUTime: number;
  readonly maxRSS: number;
}

function main(): void {
  console.error("… ours");
  const ours = measureOurs();
  checks.push(`mean fraction: ours ${ours.fraction.toFixed(3)} over ${ours.words} words`);
  if (python === undefined) return;
  for (const { name, script, needs } of peers) {
    if (spawnSync(python, ["-c", `import ${needs}`]).status !== 0) {
      notRun.push(`${name}: ${python} cannot import ${needs} (see the top of this file)`);
      continue;
    }
    console.error(`… ${name}`);
    const path = join(repoRoot, "bench/python", script);
    const peerArgs = [path, convertModel(python, model), sae, layer, perLabel, flags.threads];
    const peer = JSON.parse(run(python, peerArgs).trim().split("\n").at(-1) ?? "") as PeerAnswer;
    Object.assign(versions, peer.versions);
    compare(ours, name, peer);
  }
}

function measureOurs(): Omit<PeerAnswer, "versions"> {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-bench-"));
  const [usageFile, hook] = [join(folder, "usage.json"), join(folder, "usage.mjs")];
  writeFileSync(
    hook,
    `import { writeFileSync } from "node:fs";
process.on("exit", () => writeFileSync(${JSON.stringify(usageFile)}, JSON.stringify(process.resourceUsage())));`,
  );
  const args = ["--lm", model, "--sae", sae, "--json", "--threads", flags.threads];
  args.push("--words-per-label", perLabel, "--probe", "sae-bench", "--selection", "sae-bench");
  const program = ["--import", pathToFileURL(hook).href, join(repoRoot, "dist/cli.js")];
  const started = performance.now();
  const out = run(process.execPath, [...program, "absorption", ...args], {
    XDG_CACHE_HOME: folder,
  });
  const ms = performance.now() - started;
  const usage = JSON.parse(readFileSync(usageFile, "utf8")) as Usage;
  const report = (JSON.parse(out) as { saes: AbsorptionReport[] }).saes[0]!;
  return {
    ms,
    cpuMs: (usage.userCPUTime + usage.systemCPUTime) / 1000,
    words: report.trainWords + report.testWords,
    fraction: report.mean.fraction,
    peakMB: usage.maxRSS / 1024,
  };
}

function compare(ours: Omit<PeerAnswer, "versions">, name: string, peer: PeerAnswer): void {
  for (const [kind, key] of [
    ["", "ms"],
    [", CPU time", "cpuMs"],
  ] as const)
    rows.push({
      what: `absorption, ${ours.words} words${kind}`,
      oursMs: ours[key],
      peer: name,
      peerMs: peer[key],
      ratio: ratioOf(ours[key], peer[key]),
      oursPeakMB: ours.peakMB,
      peerPeakMB: peer.peakMB,
    });
  checks.push(
    `${name}: mean fraction ${peer.fraction.toFixed(3)} over ${peer.words} words; peak memory of ours ${(ours.peakMB / peer.peakMB).toFixed(2)}× theirs`,
  );
  if (peer.stages) {
    const stages = Object.entries(peer.stages).map(([stage, ms]) => `${stage} ${ms}`);
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
