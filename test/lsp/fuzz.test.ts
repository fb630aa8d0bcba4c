/**
 * Random edits, requests, cancellations, closings, settings and deaths of the reader over several documents at once.
 * Whatever happens, no request meets a bug, and ids and ranges are those of a fresh document. `LSP_FUZZ` says how
 * many operations there are.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CancellationTokenSource } from "vscode-languageserver/node";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import type { PageToken } from "../../server/protocol/page.ts";
import { LineStarts } from "../../server/text/line-starts.ts";
import { randomText, seeded } from "../random.ts";
import { childrenOf, promptPath, startServer } from "./server.ts";

const operations = Number(process.env["LSP_FUZZ"] ?? 1200);
const random = seeded(4711);
const below = (n: number): number => Math.floor(random() * n);
const log: string[] = [];
const documents = new Map<string, string>();
const pending: Promise<void>[] = [];
let client: HeadlessClient;
let opened = 0;

beforeAll(async () => {
  const settings = { saes: ["resid2-1024"], hover: { latents: 4 } };
  client = await startServer({ settings, onLog: (text) => log.push(text) });
});
afterAll(() => client.stop());

function newText(name: string): string {
  if (!name.endsWith(".jsonl")) return randomText(random, 15);
  const line = (): string => {
    const content = randomText(random, 3 + below(5));
    const message = { role: random() < 0.5 ? "user" : "assistant", content };
    return JSON.stringify(random() < 0.8 ? { messages: [message] } : { text: content });
  };
  return [line(), line(), line()].join("\n");
}

async function open(): Promise<void> {
  const ending = ["txt", "prompt.md", "jsonl", "prompty"][below(4)]!;
  const text = newText(`x.${ending}`);
  documents.set(await client.open(promptPath(`fuzz-${opened++}.${ending}`), text), text);
}

function someDocument(): string {
  return [...documents.keys()][below(documents.size)]!;
}

async function edit(uri: string): Promise<void> {
  const text = documents.get(uri) ?? "";
  const from = below(text.length + 1);
  const to = Math.min(text.length, from + below(10));
  // An edit inside a CR LF pair has no position of its own in LSP.
  if (text.slice(from - 1, from + 1) === "\r\n" || text.slice(to - 1, to + 1) === "\r\n") return;
  const inserted = text.length > 400 ? "" : randomText(random, below(4));
  const lines = new LineStarts(text);
  const range = { start: lines.position(from), end: lines.position(to) };
  documents.set(uri, text.slice(0, from) + inserted + text.slice(to));
  await client.change(uri, [{ range, text: inserted }]);
}

/** A request that nobody waits for now; in the end it must have met no bug. */
function ask(work: Promise<unknown>): void {
  pending.push(
    work.then(
      () => undefined,
      (error: { message: string; data?: { kind?: string } }) => {
        if (error.data?.kind === "bug") throw new Error(`a bug: ${error.message}`);
      },
    ),
  );
}

const requests: ((uri: string) => Promise<unknown>)[] = [
  (uri) => client.hover(uri, { line: below(4), character: below(40) }),
  (uri) => {
    const source = new CancellationTokenSource();
    const hover = client.hover(uri, { line: below(4), character: below(40) }, source.token);
    setTimeout(() => source.cancel(), below(20));
    return hover;
  },
  (uri) => client.page("overview", { uri }),
  (uri) => client.page("tokens", { uri, context: below(4), from: below(9), to: 99, mode: "l0" }),
  (uri) => client.page("tokenCard", { uri, context: below(3), index: below(60) }),
  (uri) => client.page("heat", { uri, fromLine: 0, toLine: below(9), mode: "activation" }),
  (uri) => client.page("predictions", { uri, context: below(3), index: below(30) }),
  (uri) => client.page("select", { uri, startOffset: below(20), endOffset: below(60) }),
  (uri) => client.page("switchFile", { uri, on: true }),
  (uri) => client.connection.sendRequest("textDocument/codeLens", { textDocument: { uri } }),
  (uri) =>
    client.connection.sendRequest("textDocument/inlayHint", {
      textDocument: { uri },
      range: { start: { line: 0, character: 0 }, end: { line: below(9), character: 0 } },
    }),
];

const place = ({ id, startOffset, endOffset, inserted }: PageToken): unknown => [
  id,
  startOffset,
  endOffset,
  inserted,
];

async function tokensOf(uri: string): Promise<unknown[]> {
  const { contexts } = await client.page("overview", { uri });
  const all: unknown[] = [];
  for (const { index } of contexts) {
    const range = { from: 0, to: 9999, mode: "l0" } as const;
    const { tokens } = await client.page("tokens", { uri, context: index, ...range });
    all.push(tokens.map(place));
  }
  return all;
}

async function checkAgainstFresh(uri: string, at: number): Promise<void> {
  const ending = uri.slice(uri.lastIndexOf("/fuzz-")).replace(/^\/fuzz-\d+/, "");
  const text = documents.get(uri) ?? "";
  const fresh = await client.open(promptPath(`fresh-${at}${ending}`), text);
  expect(await tokensOf(uri), `after operation ${at}: ${JSON.stringify(text)}`).toEqual(
    await tokensOf(fresh),
  );
  await client.close(fresh);
}

async function operate(at: number): Promise<void> {
  const uri = someDocument();
  const choice = random();
  if (choice < 0.5) await edit(uri);
  else if (choice < 0.93) ask(requests[below(requests.length)]!(uri));
  else if (choice < 0.97) {
    documents.delete(uri);
    await client.close(uri);
    await open();
  } else {
    const contexts = ["file", "lines", "paragraphs"][below(3)];
    await client.configure({ saes: ["resid2-1024"], contexts, hover: { latents: 4 } });
  }
  if (at % 40 === 39) await Promise.all(pending.splice(0));
  if (at % 60 === 59) await checkAgainstFresh(someDocument(), at);
}

/** Resident bytes of server and reader. */
function residentMiB(): number {
  const { pid } = client.process;
  const pids = [pid ?? 0, ...childrenOf(pid)];
  const kB = pids.map(
    (it) => /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${it}/status`, "utf8"))?.[1],
  );
  return kB.reduce((sum, it) => sum + Number(it) / 1024, 0);
}

test(`${operations} random operations over several documents`, async () => {
  for (let count = 0; count < 4; count++) await open();
  const isLinux = process.platform === "linux";
  let early = 0;
  for (let at = 0; at < operations; at++) {
    await operate(at);
    if (at === Math.floor(operations / 3)) await client.page("restartReader", { reason: "a test" });
    if (isLinux && at === Math.floor(operations / 2))
      for (const pid of childrenOf(client.process.pid)) process.kill(pid, "SIGKILL");
    if (isLinux && at === Math.floor(operations * 0.7)) early = residentMiB();
  }
  await Promise.all(pending.splice(0));
  for (const uri of documents.keys()) await checkAgainstFresh(uri, operations);
  if (isLinux) expect(residentMiB() - early).toBeLessThan(120);
  const bugs = log.filter((text) => /\n\s+at /.test(text));
  expect(bugs).toEqual([]);
}, 3_600_000);
