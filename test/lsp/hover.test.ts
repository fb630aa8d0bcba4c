import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CancellationTokenSource } from "vscode-languageserver/node";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { processorMs, promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
beforeAll(async () => {
  client = await startServer();
});
afterAll(() => client.stop());

test("with no setting at all, a hover answers from the bundled demo within three seconds", async () => {
  const started = performance.now();
  const uri = await client.open(promptPath("einstein.txt"));
  const line = readFileSync(promptPath("einstein.txt"), "utf8").split("\n")[0] ?? "";
  const hover = await client.hover(uri, { line: 0, character: line.indexOf("Einstein") + 2 });
  // On a machine that does other things, what counts is the time that server and reader had a processor for.
  const wall = performance.now() - started;
  expect(Math.min(wall, processorMs(client.process.pid) ?? wall)).toBeLessThan(3000);
  const text = textOf(hover) ?? "";
  expect(text).toContain("Einstein");
  expect(text).toMatch(/\| #\d+ \|/);
  expect(text).toContain("`resid2-6144`");
  expect(text.split("\n").length).toBeLessThanOrEqual(24);
  expect(hover?.range?.start.line).toBe(0);
});

test("a hover right after an edit is about the edited text, never null because work is under way", async () => {
  const uri = await client.open(promptPath("edited.txt"), "The water is cold.");
  await client.hover(uri, { line: 0, character: 5 });
  const at = { line: 0, character: 4 };
  await client.change(uri, [{ range: { start: at, end: at }, text: "Einstein " }]);
  const text = textOf(await client.hover(uri, { line: 0, character: 6 }));
  expect(text).toContain("`Einstein` as one");
});

test("a file outside the patterns has no hover until it is switched on", async () => {
  const uri = await client.open(promptPath("../outside.txt"), "The water is cold.");
  expect(await client.hover(uri, { line: 0, character: 5 })).toBeNull();
  await client.page("switchFile", { uri, on: true });
  expect(textOf(await client.hover(uri, { line: 0, character: 5 }))).toContain("water");
});

test("a token inside a character says which byte it is", async () => {
  const uri = await client.open(promptPath("emoji.txt"), "A 😀 smile.");
  const text = textOf(await client.hover(uri, { line: 0, character: 2 })) ?? "";
  const tokens = await client.page("tokens", { uri, context: 0, from: 0, to: 99, mode: "l0" });
  const inside = tokens.tokens.filter((it) => (it.endOffset ?? 0) > 2 && (it.startOffset ?? 9) < 4);
  expect(inside.length).toBeGreaterThan(1);
  expect(text).toMatch(/as one \(\d tokens\)/);
});

test("a selection reads as one: per latent the largest and mean activation, and on how many tokens", async () => {
  const uri = await client.open(promptPath("selected.txt"), "The water is cold.");
  await client.page("select", { uri, startOffset: 3, endOffset: 12 });
  const text = textOf(await client.hover(uri, { line: 0, character: 5 })) ?? "";
  expect(text).toMatch(/`␣water is` as one \(2 tokens\): #\d+ max [\d.]+, mean [\d.]+, on [12]/);
  const outside = textOf(await client.hover(uri, { line: 0, character: 1 })) ?? "";
  expect(outside).not.toContain("as one");
});

test("a cancelled hover is answered, and the next one works", async () => {
  const words = "water and stone ".repeat(200);
  const uri = await client.open(promptPath("long.txt"), words);
  const source = new CancellationTokenSource();
  const pending = client.hover(uri, { line: 0, character: 2000 }, source.token);
  source.cancel();
  await pending.then(
    () => undefined,
    (error: { code: number }) => expect(error.code).toBe(-32800),
  );
  expect(textOf(await client.hover(uri, { line: 0, character: 20 }))).toContain("token ");
});

test("an empty file, a file of blanks and a text longer than the model's context are all read", async () => {
  const empty = await client.open(promptPath("empty.txt"), "");
  expect(await client.hover(empty, { line: 0, character: 0 })).toBeNull();
  const blank = await client.open(promptPath("blank.txt"), " \n\t\n");
  await client.hover(blank, { line: 0, character: 0 });
  const uri = await client.open(promptPath("windows.txt"), "Stone and water. ".repeat(300));
  const late = textOf(await client.hover(uri, { line: 0, character: 4500 }));
  expect(late).toMatch(/position \d+/);
  const { problems } = await client.page("overview", { uri });
  expect(problems.join()).toMatch(/split into \d+ windows/);
});

test("hostile text is shown as text: no markup, no link, no control characters", async () => {
  const hostile = "[x](command:workbench.action.quit) <img src=x onerror=y> \u202e|`**";
  const uri = await client.open(promptPath("hostile.txt"), hostile);
  for (let character = 0; character < hostile.length; character += 3) {
    const text = textOf(await client.hover(uri, { line: 0, character })) ?? "";
    expect(text).not.toMatch(/\]\(command:workbench|<img|\u202e/);
  }
});

test("code lens and inlay hints", async () => {
  const uri = await client.open(promptPath("lens.txt"), "The water is cold.");
  await client.hover(uri, { line: 0, character: 5 });
  const lenses = await client.connection.sendRequest<{ command: { title: string } }[]>(
    "textDocument/codeLens",
    { textDocument: { uri } },
  );
  expect(lenses[0]?.command.title).toMatch(
    /resid2-6144 · \d+ tokens · mean L0 [\d.]+ · FVU 0\.\d+/,
  );
  await client.configure({ inlayHints: { enabled: true } });
  await client.hover(uri, { line: 0, character: 5 });
  const hints = await client.connection.sendRequest<{ label: string }[]>("textDocument/inlayHint", {
    textDocument: { uri },
    range: { start: { line: 0, character: 0 }, end: { line: 0, character: 18 } },
  });
  expect(hints.length).toBeGreaterThan(2);
});

test("what is in use is told from what is loaded for another file", async () => {
  const uri = await client.open(
    promptPath("front-matter.txt"),
    "---\nlatent-workbench:\n  saes: [resid2-1024]\n---\nThe water is cold.",
  );
  expect(textOf(await client.hover(uri, { line: 4, character: 5 }))).toContain("resid2-1024");
  const { lms, saes } = await client.page("available", {});
  const flags = new Map(saes.map(({ id, loaded, inUse }) => [id, [loaded, inUse]]));
  expect(flags.get("resid2-6144")).toEqual([true, true]);
  expect(flags.get("resid2-1024")).toEqual([true, false]);
  expect(flags.get("resid2-6144-k2")).toEqual([false, false]);
  expect(lms.filter((it) => it.inUse)).toMatchObject([{ id: "demo/lm", loaded: true }]);
});

test("a hover names meta-latents with their shares, and soon what latents are to the narrower SAE", async () => {
  const uri = await client.open(promptPath("meta.txt"), "The water is cold.");
  await client.page("use", { saes: ["resid2-6144", "meta-512", "resid2-1024"] });
  const at = { line: 0, character: 5 };
  const first = textOf(await client.hover(uri, at)) ?? "";
  expect(first).toMatch(/⊂ [^|]+ \d+ %[^|]* \(\d+ % explained\)/);
  const wanted = /beside `resid2-1024`: #\d+ (novel \(nearest|reconstruction of) #\d+/;
  let text = first;
  for (let tries = 0; tries < 50 && !wanted.test(text); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    text = textOf(await client.hover(uri, at)) ?? "";
  }
  expect(text).toMatch(wanted);
});
