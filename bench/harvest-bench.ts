/**
 * Activations of a corpus: SmolLM2-135M to layer 9, windows of 128 and 256 tokens; ours as `harvest` computes them, and plain
 * transformers and torch with only those layers, in turns on the same machine.
 * `npm run bench -- harvest [--json] [--threads N] [--quick]`.
 *
 * Times are for 1,000 tokens. Ours run window by window, theirs 16 windows at a time, which is what suits each best.
 * Peak memory is that of the whole process; theirs includes its libraries.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readSafetensors } from "../server/encoding/safetensors.ts";
import { convertModel } from "./hover-peers.ts";
import { JsonLines } from "./json-lines.ts";
import { findPython, repoRoot, shared } from "./places.ts";
import { median, printReport, ratioOf, type Row, thisMachine } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const layer = 9;
const tokensOfTurn = 2048;
const turns = flags.quick ? 2 : 6;
const model = shared("models/smollm2");
const tokens = shared("goldens/saebench/core_eval_tokens.safetensors");
const versions: Record<string, string> = {};
const machine = thisMachine(versions);
const rows: Row[] = [];
const checks: string[] = [];
const notRun = [model, tokens].filter((path) => !existsSync(path)).map((it) => `${it} is missing`);
const python = findPython();
if (python === undefined)
  notRun.push("the Python peer: no LATENT_WORKBENCH_PYTHON and no .cache/venv (.ci/run makes it)");
if (existsSync(model) && existsSync(tokens)) await main();
printReport({ bench: "harvest", machine, rows, checks, notRun }, flags.json);

interface Answer {
  readonly ms: number;
  readonly cpuMs: number;
  readonly row: number[];
  readonly peakMB: number | null;
}

/** One side, with what it took for 1,000 tokens. */
interface Side {
  readonly process: JsonLines<{ windows: number[][] }, Answer>;
  readonly ms: number[];
  readonly cpuMs: number[];
  row: number[];
  peakMB: number | null;
}

async function main(): Promise<void> {
  const ids = Array.from(
    readSafetensors(readFileSync(tokens)).get("tokens")!.data as ArrayLike<number>,
  );
  const ours = join(repoRoot, "dist/bench/harvest-ours.js");
  const hook = `blocks.${layer}.hook_resid_post`;
  for (const length of [128, 256]) {
    console.error(`… windows of ${length} tokens`);
    const sides = [await start(process.execPath, [ours, model, hook, flags.threads])];
    if (python !== undefined) {
      const peer = join(repoRoot, "bench/python/harvest_peer.py");
      const folder = convertModel(python, model);
      sides.push(await start(python, [peer, folder, String(layer), flags.threads]));
    }
    const windowsOf = (turn: number): number[][] =>
      Array.from({ length: tokensOfTurn / length }, (_, i) => {
        const from = ((turn * tokensOfTurn) % (ids.length - tokensOfTurn)) + i * length;
        return ids.slice(from, from + length);
      });
    // The first turn allocates.
    for (const side of sides) await turn(side, windowsOf(0), false);
    for (let round = 1; round <= turns; round++)
      for (const side of sides) await turn(side, windowsOf(round), true);
    for (const side of sides) side.process.end();
    report(length, sides);
  }
}

async function start(command: string, args: string[]): Promise<Side> {
  const child = new JsonLines<{ windows: number[][] }, Answer>(command, args);
  const first = (await child.next()) as unknown as { versions: Record<string, string> };
  Object.assign(versions, first.versions);
  return { process: child, ms: [], cpuMs: [], row: [], peakMB: null };
}

async function turn(side: Side, windows: number[][], timed: boolean): Promise<void> {
  // Torch's threads spin for a while after their work; a turn starts when they sleep.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { ms, cpuMs, row, peakMB } = await side.process.ask({ windows });
  side.row = row;
  side.peakMB = peakMB;
  if (!timed) return;
  side.ms.push((ms * 1000) / tokensOfTurn);
  side.cpuMs.push((cpuMs * 1000) / tokensOfTurn);
}

function report(length: number, [ours, peer]: readonly Side[]): void {
  for (const [kind, key] of [
    ["", "ms"],
    [", CPU time", "cpuMs"],
  ] as const) {
    const [oursMs, peerMs] = [median(ours![key]), peer ? median(peer[key]) : null];
    rows.push({
      what: `1,000 tokens in windows of ${length}${kind}`,
      oursMs,
      peer: peer ? "transformers and torch" : "no peer was run",
      peerMs,
      ratio: ratioOf(oursMs, peerMs),
      oursPeakMB: ours!.peakMB,
      peerPeakMB: peer?.peakMB ?? null,
      oursSamples: ours![key],
      ...(peer ? { peerSamples: peer[key] } : {}),
    });
  }
  const perSecond = (side: Side): string => Math.round(1e6 / median(side.ms)!).toLocaleString("en");
  if (!peer) return;
  const rms = Math.sqrt(peer.row.reduce((sum, it) => sum + it * it, 0) / peer.row.length);
  const worst = Math.max(...peer.row.map((it, at) => Math.abs(it - ours!.row[at]!))) / rms;
  checks.push(
    `windows of ${length}: ${perSecond(ours!)} tokens/s of ours, ${perSecond(peer)} of theirs; the last token's activations agree to ${worst.toExponential(1)} of their RMS (the peer's weights are rounded to float16)`,
  );
}
