// What happens around a server: two windows, files that vanish or cannot be written, a machine that sleeps. docs/behaviour.md
// lists what is promised.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";
import { childrenOf, startServer, textOf } from "./server.ts";

vi.setConfig({ testTimeout: 120_000 });
const demo = join(repoRoot, "demo");
const sae = "resid2-1024";
const place = { line: 0, character: 5 };
let workspace: string;
const clients: HeadlessClient[] = [];

beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), "surroundings-"));
  mkdirSync(join(workspace, "prompts"));
  writeFileSync(join(workspace, "prompts/a.txt"), "The water is cold.");
  choose({ lm: join(demo, "lm") });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
  rmSync(workspace, { recursive: true, force: true });
});

/** Writes latents.jsonc. */
function choose(entries: object): void {
  const saes = [{ name: sae, path: join(demo, "saes/resid2-1024") }];
  writeFileSync(join(workspace, "latents.jsonc"), JSON.stringify({ saes, ...entries }));
}

const heard: string[] = [];

async function open(): Promise<{ client: HeadlessClient; uri: string }> {
  const client = await startServer({
    workspaceFolder: workspace,
    onLog: (text) => heard.push(text),
  });
  clients.push(client);
  return { client, uri: await client.open(join(workspace, "prompts/a.txt")) };
}

async function hoverText({
  client,
  uri,
}: {
  client: HeadlessClient;
  uri: string;
}): Promise<string> {
  return textOf(await client.hover(uri, place)) ?? "";
}

test("two windows on one workspace: labels of both are kept", async () => {
  const [one, two] = [await open(), await open()];
  await Promise.all([hoverText(one), hoverText(two)]);
  await one.client.page("setLabel", { sae, latent: 3, text: "of the first window" });
  await two.client.page("setLabel", { sae, latent: 5, text: "of the second window" });
  await one.client.page("setLabel", { sae, latent: 7, text: "of the first again" });
  const file = readFileSync(join(workspace, `labels/${sae}.jsonl`), "utf8");
  expect(file.match(/of the (first|second)( window| again)/g)).toHaveLength(3);
  const { labels } = await two.client.page("latentDashboard", { sae, latent: 5 });
  expect(labels[0]?.text).toBe("of the second window");
});

test("a labels folder that cannot be written: the reason, and nothing is lost", async () => {
  writeFileSync(join(workspace, "labels"), "a file where the folder would be");
  const window = await open();
  await hoverText(window);
  await expect(window.client.page("setLabel", { sae, latent: 3, text: "water" })).rejects.toThrow(
    /labels/,
  );
  expect(readFileSync(join(workspace, "labels"), "utf8")).toContain("a file where");
  expect(await hoverText(window)).toContain("L0");
});

test("a model that is deleted: what is loaded is read on; what is loaded anew says where it looked", async () => {
  cpSync(join(demo, "lm"), join(workspace, "lm"), { recursive: true });
  choose({ lm: "lm" });
  const window = await open();
  expect(await hoverText(window)).toContain("L0");
  rmSync(join(workspace, "lm"), { recursive: true });
  const { client, uri } = window;
  const start = { line: 0, character: 0 };
  await client.change(uri, [{ range: { start, end: start }, text: "Now t" }]);
  expect(await hoverText(window)).toContain("L0");
  await client.page("restartReader", { reason: "test" });
  expect(await hoverText(window)).toContain(join(workspace, "lm"));
});

test("a changed latents.jsonc is used at once, and a broken one is named", async () => {
  const window = await open();
  expect(await hoverText(window)).toContain(sae);
  choose({ lm: join(demo, "lm"), saes: [{ name: "wide", path: join(demo, "saes/resid2-6144") }] });
  const { client } = window;
  const changed = async (): Promise<void> =>
    client.connection.sendNotification("workspace/didChangeWatchedFiles", {
      changes: [{ uri: `file://${join(workspace, "latents.jsonc")}`, type: 2 }],
    });
  await changed();
  await expect.poll(() => hoverText(window), { timeout: 60_000 }).toContain("wide");
  writeFileSync(join(workspace, "latents.jsonc"), "{ broken");
  await changed();
  await expect
    .poll(() => heard.join(""), { timeout: 60_000 })
    .toMatch(/latents\.jsonc.*what was in use stays in use/);
  expect(await hoverText(window)).toContain("wide");
});

test.runIf(process.platform === "linux")("processes that slept go on where they were", async () => {
  const window = await open();
  expect(await hoverText(window)).toContain("L0");
  const pids = [window.client.process.pid ?? 0, ...childrenOf(window.client.process.pid)];
  expect(pids).toHaveLength(2);
  const { client, uri } = window;
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const start = { line: 0, character: 0 };
  const edited = client.change(uri, [{ range: { start, end: start }, text: "Well. T" }]);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const pid of pids) process.kill(pid, "SIGCONT");
  await edited;
  expect(await hoverText(window)).toMatch(/position \d/);
  expect(childrenOf(client.process.pid)).toEqual(pids.slice(1));
});
