/**
 * One training step, d_in 576, 9,216 latents, batches of 2,048: ours, SAELens's own trainer, and for BatchTopK also torch
 * with sparse products, in turns on the same machine, from the same weights over the same activations.
 * `npm run bench -- train [--json] [--threads N] [--only NAME] [--quick] [--device NAME]`. With a GPU's name (webgpu, cuda)
 * the peers are SAELens and plain torch with dense products on torch's own GPU, float32 without TF32 everywhere.
 *
 * Peak memory is that of the whole process: Python's includes its libraries (torch and SAELens take about 540 MB), ours
 * Node. The first step of each side is not timed. What ours takes depends on how many latents are active: at the first
 * step of a standard or Gated SAE half of all, after it as many as the report says.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeSafetensors } from "../server/encoding/safetensors.ts";
import { openDevice } from "../server/runtime/device.ts";
import { tensor } from "../server/tensor/tensor.ts";
import { importTrainConfig } from "../server/training/import-config.ts";
import { SeededRandom } from "../server/base/seeded-random.ts";
import { openTrainer } from "../server/training/trainer.ts";
import { JsonLines } from "./json-lines.ts";
import { findPython, pythonCan, repoRoot, torchGpu } from "./places.ts";
import { median, printReport, ratioOf, type Row, thisMachine } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
    only: { type: "string" },
    device: { type: "string", default: "cpu" },
  },
});
const sizes = { d_in: 576, d_sae: 9216 } as const;
const rows = 2048;
const nBatches = 4;
/** Turns of each side, and steps of a turn. */
const [turns, steps] = flags.quick ? [2, 1] : [4, 3];

/** SAELens's configs; `sparse`: torch with sparse products can do it. */
const cases: Readonly<
  Record<string, { sae: Record<string, unknown>; trainer?: object; sparse?: boolean }>
> = {
  batchtopk: { sae: { architecture: "batchtopk", k: 32 }, sparse: true },
  "batchtopk with many dead latents": {
    sae: { architecture: "batchtopk", k: 32 },
    trainer: { dead_feature_window: 0 },
  },
  topk: { sae: { architecture: "topk", k: 32 } },
  matryoshka: {
    sae: {
      architecture: "matryoshka_batchtopk",
      k: 32,
      matryoshka_widths: [576, 1152, 2304, 4608, 9216],
    },
  },
  abstopk: { sae: { architecture: "abstopk", k: 32 } },
  standard: { sae: { architecture: "standard", l1_coefficient: 5 } },
  jumprelu: { sae: { architecture: "jumprelu", l0_coefficient: 1, jumprelu_init_threshold: 0.5 } },
  gated: { sae: { architecture: "gated", l1_coefficient: 5 } },
};

interface Answer {
  readonly ms: number[];
  readonly cpuMs: number[];
  readonly losses: number[];
  /** Mean active latents of a row, step by step; ours says it. */
  readonly l0?: number[];
  readonly peakMB: number | null;
}

/** One side of a case. */
interface Side {
  readonly name: string;
  readonly process: JsonLines<{ steps: number }, Answer>;
  readonly ms: number[];
  readonly cpuMs: number[];
  readonly losses: number[];
  readonly l0: number[];
  peakMB: number | null;
}

const folder = join(repoRoot, ".cache/bench/train");
mkdirSync(folder, { recursive: true });
const rowsOfReport: Row[] = [];
const checks: string[] = [];
const notRun: string[] = [];
const versions: Record<string, string> = {};
const machine = thisMachine(versions);
const python = findPython();
if (python === undefined)
  notRun.push("the Python peers: no LATENT_WORKBENCH_PYTHON and no .cache/venv (.ci/run makes it)");
const onGpu = flags.device !== "cpu";
const torchDevice = onGpu && python !== undefined ? torchGpu(python) : undefined;
const hasSaeLens = python !== undefined && pythonCan(python, "import sae_lens");
if (python !== undefined && onGpu && torchDevice === undefined)
  notRun.push("the Python peers on a GPU: torch finds none");
writeBatches();
for (const name of Object.keys(cases))
  if (flags.only === undefined || flags.only === name) await runCase(name);
printReport({ bench: "train", machine, rows: rowsOfReport, checks, notRun }, flags.json);

async function runCase(name: string): Promise<void> {
  console.error(`… ${name}`);
  const file = await writeCase(name);
  const ours = join(repoRoot, "dist/bench/train-ours.js");
  const sides = [await start("ours", process.execPath, [ours, file, flags.threads, flags.device])];
  for (const [title, kind] of peersOf(name)) sides.push(await startPeer(title, kind, file));
  // The first step allocates.
  for (const side of sides) await turn(side, 1, false);
  for (let round = 0; round < turns; round++)
    for (const side of sides) await turn(side, steps, true);
  for (const { process: it } of sides) it.end();
  report(name, sides);
}

/** Titles and kinds of the peers that a case has here. */
function peersOf(name: string): readonly (readonly [string, string])[] {
  if (python === undefined || (onGpu && torchDevice === undefined)) return [];
  const lens = ["SAELens", "sae-lens"] as const;
  if (onGpu) return [...(hasSaeLens ? [lens] : []), ["torch, dense", "dense"]];
  return [lens, ...(cases[name]!.sparse ? [["torch, sparse", "sparse"] as const] : [])];
}

function startPeer(title: string, kind: string, file: string): Promise<Side> {
  const program = join(repoRoot, "bench/python/train_peer.py");
  return start(title, python!, [program, kind, file, flags.threads, torchDevice ?? "cpu"]);
}

async function start(name: string, command: string, args: string[]): Promise<Side> {
  const child = new JsonLines<{ steps: number }, Answer>(command, args);
  const first = (await child.next()) as unknown as { versions: Record<string, string> };
  Object.assign(versions, first.versions);
  return { name, process: child, ms: [], cpuMs: [], losses: [], l0: [], peakMB: null };
}

async function turn(side: Side, count: number, timed: boolean): Promise<void> {
  // Torch's threads spin for a while after their work; a turn starts when they sleep.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const answer = await side.process.ask({ steps: count });
  side.losses.push(...answer.losses);
  side.peakMB = answer.peakMB;
  if (!timed) return;
  side.ms.push(...answer.ms);
  side.cpuMs.push(...answer.cpuMs);
  side.l0.push(...(answer.l0 ?? []));
}

function report(name: string, [ours, ...peers]: readonly Side[]): void {
  const others = peers.length > 0 ? peers : [undefined];
  const active = ours!.l0.map(Math.round);
  checks.push(`${name}: ${Math.min(...active)} to ${Math.max(...active)} latents active in a row`);
  for (const peer of others) {
    for (const [kind, key] of [
      ["", "ms"],
      [", CPU time", "cpuMs"],
    ] as const) {
      const [oursMs, peerMs] = [median(ours![key]), peer ? median(peer[key]) : null];
      rowsOfReport.push({
        what: `${name}${kind}`,
        oursMs,
        peer: peer?.name ?? "no peer was run",
        peerMs,
        ratio: ratioOf(oursMs, peerMs),
        oursPeakMB: ours!.peakMB,
        peerPeakMB: peer?.peakMB ?? null,
        oursSamples: ours![key],
        ...(peer ? { peerSamples: peer[key] } : {}),
      });
    }
    // A long benchmark may be cut short: what is known is said.
    const [own, theirs] = [median(ours!.ms), peer ? median(peer.ms) : null];
    console.error(
      `  ours ${own?.toFixed(0)} ms, ${ours!.peakMB?.toFixed(0)} MB; ${peer?.name ?? "no peer"} ${theirs?.toFixed(0)} ms, ${peer?.peakMB?.toFixed(0)} MB`,
    );
    if (peer) checks.push(`${name}: ${agreement(ours!.losses, peer.losses)} of ${peer.name}`);
  }
}

function agreement(ours: readonly number[], theirs: readonly number[]): string {
  const worst = ours.reduce(
    (most, loss, at) => Math.max(most, Math.abs(loss / theirs[at]! - 1)),
    0,
  );
  return `losses of ${ours.length} steps are within ${worst.toExponential(1)}`;
}

/** Rows of a few active directions each, with a common mean, as residual streams have: norms of about √d_in. */
function writeBatches(): void {
  const file = join(folder, "batches.safetensors");
  if (existsSync(file)) return;
  const { d_in } = sizes;
  const random = new SeededRandom(1);
  const directions = Float32Array.from({ length: 4000 * d_in }, () => random.normal() / 24);
  const mean = Float32Array.from({ length: d_in }, () => random.normal() / 2);
  const data = new Float32Array(nBatches * rows * d_in);
  for (let at = 0; at < data.length; at += d_in) {
    for (let i = 0; i < d_in; i++) data[at + i] = mean[i]! + 0.2 * random.normal();
    for (let n = 0; n < 20; n++) {
      // Some directions are far more frequent than others.
      const from = Math.floor(4000 * random.uniform() ** 3) * d_in;
      const size = 2 + 4 * random.uniform();
      for (let i = 0; i < d_in; i++) data[at + i] = data[at + i]! + size * directions[from + i]!;
    }
  }
  writeFileSync(
    file,
    writeSafetensors(new Map([["batches", tensor("float32", [nBatches, rows, d_in], data)]])),
  );
}

/** Config and initial weights of a case, both as SAELens has them. */
async function writeCase(name: string): Promise<string> {
  const { sae, trainer = {} } = cases[name]!;
  const sae_cfg = { ...sizes, ...sae };
  const trainer_cfg = {
    total_training_samples: 10 ** 7,
    train_batch_size_samples: rows,
    lr: 1e-3,
    lr_end: 1e-4,
    ...trainer,
  };
  const config = importTrainConfig({ sae_cfg, trainer_cfg }, name);
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 16 * 2 ** 30 });
  const initial = await openTrainer(config, device);
  const init = join(folder, `init-${config.architecture}.safetensors`);
  writeFileSync(init, writeSafetensors(initial.parameters()));
  await initial.release();
  const file = join(folder, `${name.replaceAll(" ", "-")}.json`);
  const batches = join(folder, "batches.safetensors");
  writeFileSync(file, JSON.stringify({ batches, init, sae_cfg, trainer_cfg }));
  return file;
}
