/**
 * What an editor waits for while SAEs are trained on the same machine: hovers from the cache and after a typed character, through
 * the language server, with and without a run at low priority, in turns. `npm run bench -- meanwhile [--json] [--threads N] [--quick]`.
 *
 * Editor and run read SmolLM2-135M at layer 9; the run computes activations and trains a BatchTopK SAE of 9,216 latents, 2,048
 * rows a step. "Peer" here is the same server while nothing is trained.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import type { OursOptions } from "./hover-ours.ts";
import { type ServerTimes, timeServer } from "./hover-server.ts";
import { HoverTexts } from "./hover-texts.ts";
import { shared } from "./places.ts";
import { startRun } from "./training-run.ts";
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
    const run = await startRun({ lm: options.lm, corpus });
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
