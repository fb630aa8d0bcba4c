/**
 * A full desk: many long documents open at once, and a file of 2 MB, through the language server, with and without a run at low
 * priority. `npm run bench -- load [--json] [--threads N] [--quick]`.
 *
 * Documents have 2,000 tokens of SmolLM2-135M, read to layer 9 with 9,216 latents; hovers fall all over all of them. The large
 * file is read line by line by the demo's model. "Peer" is the same server while nothing is trained.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { HeadlessClient } from "../scripts/headless-client.ts";
import { hover } from "./hover-server.ts";
import { HoverTexts } from "./hover-texts.ts";
import { repoRoot, shared } from "./places.ts";
import { peakOfTree } from "./process-memory.ts";
import { median, printReport, quantile, ratioOf, type Row, thisMachine } from "./report.ts";
import { startRun } from "./training-run.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const documents = flags.quick ? 10 : 50;
const tokens = 2000;
const hovers = 1000;
const largeBytes = 2_000_000;
const lm = shared("models/smollm2");
const sae = shared("models/saes/smollm2-l9-w9216-k32-f16");
const corpus = shared("corpus/moby-dick.txt.gz");
const machine = thisMachine({});
const notRun = [lm, sae, corpus]
  .filter((path) => !existsSync(path))
  .map((path) => `${path} is missing`);
const rows = notRun.length === 0 ? [...(await manyDocuments()), ...(await largeFile())] : [];
printReport({ bench: "load", machine, rows, checks: [], notRun }, flags.json);

/** Hovers over documents that are all open and read. */
async function manyDocuments(): Promise<Row[]> {
  const texts = new HoverTexts(lm);
  return withServer({ lm, saes: [sae] }, async (client, folder) => {
    const open: { uri: string; text: string }[] = [];
    for (let at = 0; at < documents; at++) {
      const text = `${at} ${texts.fresh(tokens - 2, at)}`;
      open.push({ uri: await client.open(join(folder, `${at}.txt`), text), text });
    }
    for (const [at, { uri, text }] of open.entries()) {
      console.error(`… reading document ${at + 1} of ${documents}`);
      await hover(client, uri, text, 5);
    }
    const measure = async (): Promise<number[]> => {
      const times: number[] = [];
      for (let at = 0; at < hovers; at++) {
        // 7919 is prime: the hovers fall all over the texts.
        const { uri, text } = open[(at * 7) % open.length]!;
        times.push(await hover(client, uri, text, (at * 7919) % text.length));
      }
      return times;
    };
    // What latents raise is asked for once for each; it is no part of a hover from the cache.
    await measure();
    const quiet = await measure();
    console.error("… a run works");
    const run = await startRun({ lm, corpus });
    let busy: number[];
    try {
      busy = await measure();
    } finally {
      await run.stop();
    }
    const peak = peakOfTree(client.process.pid ?? 0);
    const row = (what: string, figure: (all: readonly number[]) => number | null): Row => ({
      what: `hover from cache, ${documents} documents of ${tokens} tokens, ${what}`,
      oursMs: figure(busy),
      peer: "without a run",
      peerMs: figure(quiet),
      ratio: ratioOf(figure(busy), figure(quiet)),
      oursPeakMB: peak,
      peerPeakMB: null,
    });
    return [row("median", median), row("99th percentile", (all) => quantile(all, 0.99))];
  });
}

/** The first hover in a file of 2 MB that is read line by line, and one at its end. */
async function largeFile(): Promise<Row[]> {
  const demo = join(repoRoot, "demo");
  const settings = { lm: join(demo, "lm"), saes: [join(demo, "saes/resid2-6144")] };
  return withServer({ ...settings, contexts: "lines" }, async (client, folder) => {
    const line = "The water of the river is cold, and the city lies on both of its banks.\n";
    const text = line.repeat(Math.ceil(largeBytes / line.length));
    const uri = await client.open(join(folder, "large.txt"), text);
    const first = await hover(client, uri, text, 5);
    const last = await hover(client, uri, text, text.length - line.length + 5);
    const peak = peakOfTree(client.process.pid ?? 0);
    const row = (what: string, oursMs: number): Row => ({
      what: `file of 2 MB, ${what}`,
      oursMs,
      peer: "none",
      peerMs: null,
      ratio: null,
      oursPeakMB: peak,
      peerPeakMB: null,
    });
    return [row("first hover after opening", first), row("hover in its last line", last)];
  });
}

async function withServer<T>(
  settings: object,
  work: (client: HeadlessClient, folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-bench-"));
  const cacheFolder = join(repoRoot, ".cache/bench");
  const client = await HeadlessClient.start({
    server: join(repoRoot, "dist/main.js"),
    workspaceFolder: folder,
    settings: {
      threads: Number(flags.threads),
      device: "cpu",
      cacheFolder,
      files: ["**/*.txt"],
      ...settings,
    },
  });
  try {
    return await work(client, folder);
  } finally {
    await client.stop();
    rmSync(folder, { recursive: true });
  }
}
