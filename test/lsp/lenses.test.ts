/** Code lenses and states when the reader or the settings change under them. */
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
afterEach(() => client.stop());

async function lensesOf(uri: string): Promise<string[]> {
  const params = { textDocument: { uri } };
  const lenses = await client.connection.sendRequest<{ command: { title: string } }[]>(
    "textDocument/codeLens",
    params,
  );
  return lenses.map(({ command }) => command.title);
}

/** The lenses that stay: those of the first time that the server says it is not working on this document. */
async function lastLens(uri: string): Promise<string> {
  for (;;) {
    const next = client.changed(uri, 100);
    const lenses = await lensesOf(uri);
    // What the server said before it answered is here by now.
    if ((client.status.get(uri)?.state ?? "working") !== "working") return lenses.join(" | ");
    await next;
  }
}

const read = /resid2-6144 · \d+ tokens · mean L0 [\d.]+ · FVU 0\.\d+$/;

test("the lens of several contexts is complete after the reader was restarted, at any time", async () => {
  client = await startServer();
  const uri = await client.open(promptPath("chat.jsonl"));
  // While the model is being loaded.
  await client.page("restartReader", { reason: "a test" });
  expect(await lastLens(uri)).toMatch(read);
  // While nothing goes on.
  await client.page("restartReader", { reason: "a test" });
  expect(await lastLens(uri)).toMatch(read);
  await client.configure({ device: "cpu", threads: 1 });
  expect(await lastLens(uri)).toMatch(read);
});

test("a hover that was under way when the reader was restarted is answered by the next reader", async () => {
  client = await startServer();
  const uri = await client.open(promptPath("restarted.txt"), "The water is cold.");
  const pending = client.hover(uri, { line: 0, character: 5 });
  await client.page("restartReader", { reason: "a test" });
  expect(textOf(await pending)).toMatch(/water[^]*#\d+/);
});

test("a context that is too long is told, and the others are read", async () => {
  client = await startServer({ settings: { maxContextCharacters: 40, contexts: "lines" } });
  const text = `A short line.\n${"A long line. ".repeat(9)}\nAnother one.`;
  const uri = await client.open(promptPath("too-long.txt"), text);
  const lens = await lastLens(uri);
  expect(lens).toMatch(/2 of 3 contexts read \| Latent Workbench: .*has 117 characters, more than/);
});

test("an editor that keeps its settings until asked gets no answer before they came", async () => {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  client = await startServer({
    settings: { files: ["**/elsewhere/**"], hover: { latents: 2 } },
    settingsAtStart: false,
    beforeSettings: released,
  });
  const uri = await client.open(promptPath("../elsewhere/a.txt"), "The water is cold.");
  const pending = client.hover(uri, { line: 0, character: 5 });
  await client.change(uri, [{ text: "The cold water." }]);
  let answered = false;
  void pending.finally(() => (answered = true));
  // The server has worked through what came before the last request, and still owes the hover.
  await client.connection.sendRequest("no/such/method").catch(() => undefined);
  expect(answered).toBe(false);
  release();
  const text = textOf(await pending) ?? "";
  expect(text).toContain("cold");
  // By default eight of the latents that are active here are shown.
  const rows = text.match(/^\| #\d+ \|/gm) ?? [];
  expect([1, 2]).toContain(rows.length);
  // By its patterns, this is a file that is not read.
  const other = await client.open(
    promptPath("b.txt"),
    readFileSync(promptPath("einstein.txt"), "utf8"),
  );
  expect(await client.hover(other, { line: 0, character: 5 })).toBeNull();
});
