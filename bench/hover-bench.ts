/**
 * From text to latents: SmolLM2-135M to layer 9, 9,216 latents, the top 10 of every token; ours and the Python peers
 * in turns on the same machine. `npm run bench -- hover [--json] [--threads N] [--device NAME] [--quick]`.
 *
 * Our figures include what the peers' do not: the way over IPC, all active latents, x_hat and its error.
 * With another device than the CPU the peers use torch's own GPU.
 *
 * The peers have nothing to reuse after an edit, so they read the whole text again.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import type { DeviceName } from "../server/protocol/reader.ts";
import { type OursOptions, OurReader, type Reading } from "./hover-ours.ts";
import { convertModel, type Peer, peerKinds, type PeerReading, startPeer } from "./hover-peers.ts";
import { type ServerTimes, timeServer } from "./hover-server.ts";
import { type Edited, HoverTexts } from "./hover-texts.ts";
import { findPython, shared, torchGpu } from "./places.ts";
import { median, printReport, quantile, ratioOf, type Row, thisMachine } from "./report.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
    device: { type: "string", default: "cpu" },
  },
});
/** Tokens of the texts, and how often each case is timed after one warm-up. */
const sizes: readonly (readonly [tokens: number, rounds: number])[] = flags.quick
  ? [[128, 3]]
  : [
      [128, 9],
      [1000, 5],
      [2000, 5],
    ];

const modelFolder = shared("models/smollm2");
const options: OursOptions = {
  lm: modelFolder,
  sae: shared("models/saes/smollm2-l9-w9216-k32-f16"),
  threads: Number(flags.threads),
  device: flags.device as DeviceName,
};
const missing = [options.lm, options.sae].filter((path) => !existsSync(path));
if (missing.length > 0) {
  const notRun = missing.map((path) => `${path} is missing`);
  printReport(
    { bench: "hover", machine: thisMachine({}), rows: [], checks: [], notRun },
    flags.json,
  );
} else {
  await main();
}

async function main(): Promise<void> {
  const notRun: string[] = [];
  const machine = thisMachine({});
  const texts = new HoverTexts(modelFolder);
  say("the language server");
  const server = await timeServer(texts.fresh(128, 0), options);
  const peers = await startPeers(texts.fresh(128, 0), notRun);
  say("our reader");
  const ours = await OurReader.start(options);
  const rows: Row[] = peers.map((peer) => startRow(server, peer));
  const same: number[] = [];
  for (const [tokens, rounds] of sizes) {
    const run = { ours, peers, rounds, same };
    const cold = await timeCase(run, `${tokens} tokens, cold`, (round) => {
      const after = texts.fresh(tokens, round);
      return { before: undefined, after };
    });
    const end = await timeCase(run, `${tokens} tokens, a character typed at the end`, (round) =>
      texts.typedAtEnd(tokens, round),
    );
    const middle = await timeCase(
      run,
      `${tokens} tokens, a character typed in the middle`,
      (round) => texts.typedInMiddle(tokens, round),
    );
    rows.push(...cold, ...end, ...middle);
    say(`${tokens} tokens, through the language server`);
    const times = tokens === 128 ? server : await timeServer(texts.fresh(tokens, 0), options);
    rows.push(...serverRows(tokens, times, cold));
  }
  ours.stop();
  for (const peer of peers) peer.process.end();
  const versions = {
    "onnxruntime-node": ours.info.runtimeVersion,
    device: `${ours.info.device} with ${ours.info.threads} threads`,
    ...Object.assign({}, ...peers.map((peer) => peer.start.versions)),
  };
  printReport(
    {
      bench: "hover",
      machine: { ...machine, versions },
      rows,
      checks:
        same.length > 0
          ? [
              `of the top 10 latents of the last token, ${Math.min(...same)} or more are the peers' in each of ${same.length} readings`,
            ]
          : [],
      notRun,
    },
    flags.json,
  );
}

async function startPeers(text: string, notRun: string[]): Promise<Peer[]> {
  const python = findPython();
  if (python === undefined) {
    notRun.push(
      "the Python peers: no LATENT_WORKBENCH_PYTHON and no .cache/venv (.ci/run makes it)",
    );
    return [];
  }
  const peers: Peer[] = [];
  try {
    const lm = convertModel(python, modelFolder);
    const device = options.device === "cpu" ? "cpu" : torchGpu(python);
    if (device === undefined) throw new Error("torch finds no GPU");
    const places = { python, lm, sae: options.sae, threads: options.threads, device };
    for (const kind of peerKinds) {
      say(`${kind} + SAELens`);
      peers.push(await startPeer(kind, places, text));
    }
  } catch (error) {
    notRun.push(`the Python peers: ${String(error)}`);
  }
  return peers;
}

interface Run {
  readonly ours: OurReader;
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** How many of the peers' top 10 are ours, per reading. */
  readonly same: number[];
}

/** Times one case in turns: ours, then each peer, `rounds` times after a warm-up. */
async function timeCase(
  { ours, peers, rounds, same }: Run,
  what: string,
  textOf: (round: number) => { before: string | undefined; after: string },
): Promise<Row[]> {
  say(what);
  const oursTaken: Reading[] = [];
  const peersTaken = new Map<Peer, PeerReading[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round <= rounds; round++) {
    const { before, after } = textOf(round);
    await rest();
    const reading = await (before === undefined
      ? ours.cold(after)
      : ours.edited({ before, after } satisfies Edited));
    if (round > 0) oursTaken.push(reading);
    for (const [peer, taken] of peersTaken) {
      await rest();
      const answer = await peer.process.ask({ text: after });
      if (answer.tokens !== reading.tokens)
        throw new Error(
          `${what}: ${answer.tokens} tokens for ${peer.name}, ${reading.tokens} for us`,
        );
      if (round === 0) continue;
      taken.push(answer);
      same.push(answer.last.filter((latent) => reading.last.includes(latent)).length);
    }
  }
  if (peers.length === 0) return [caseRow(what, oursTaken, "no peer was run", [])];
  return [...peersTaken].map(([peer, taken]) => caseRow(what, oursTaken, peer.name, taken));
}

function caseRow(
  what: string,
  ours: readonly Reading[],
  peer: string,
  theirs: readonly PeerReading[],
): Row {
  const oursSamples = ours.map(({ ms }) => ms);
  const peerSamples = theirs.map(({ ms }) => ms);
  return {
    ...compared(what, median(oursSamples), peer, median(peerSamples)),
    oursPeakMB: ours.at(-1)?.peakMB ?? null,
    peerPeakMB: theirs.at(-1)?.peakMB ?? null,
    oursSamples,
    peerSamples,
  };
}

function startRow(server: ServerTimes, peer: Peer): Row {
  return {
    ...compared(
      "start-up to the first hover, 128 tokens",
      server.firstHoverMs,
      peer.name,
      peer.firstHoverMs,
    ),
    oursPeakMB: server.peakMB,
    peerPeakMB: peer.start.peakMB,
  };
}

/** Through the server; the peers have no cache to answer from, so they stand with their cold reading. */
function serverRows(tokens: number, times: ServerTimes, cold: readonly Row[]): Row[] {
  const slowest = cold.at(-1);
  const peer = `${slowest?.peer ?? "no peer"}, reading again`;
  const row = (what: string, ours: number | null): Row => ({
    ...compared(`${tokens} tokens, ${what}`, ours, peer, slowest?.peerMs ?? null),
    oursPeakMB: times.peakMB,
    peerPeakMB: slowest?.peerPeakMB ?? null,
  });
  return [
    row("first hover on a token of a text that was read, median", median(times.firstMs)),
    row("hover from cache through the server, median", median(times.cachedMs)),
    row("hover from cache through the server, 99th percentile", quantile(times.cachedMs, 0.99)),
    row("hover after a character typed at the end, through the server", median(times.typedMs)),
  ];
}

function compared(
  what: string,
  oursMs: number | null,
  peer: string,
  peerMs: number | null,
): Pick<Row, "what" | "oursMs" | "peer" | "peerMs" | "ratio"> {
  return { what, oursMs, peer, peerMs, ratio: ratioOf(oursMs, peerMs) };
}

/** Torch's threads spin for a while after their work; a turn starts when they sleep. */
function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 300));
}

function say(what: string): void {
  console.error(`… ${what}`);
}
