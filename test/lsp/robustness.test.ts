import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { childrenOf, promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
const log: string[] = [];
beforeAll(async () => {
  client = await startServer({ onLog: (text) => log.push(text) });
});
afterAll(() => client.stop());

test.runIf(process.platform === "linux")(
  "a killed reader is reported, and the next hover answers",
  async () => {
    const uri = await client.open(promptPath("killed.txt"), "The water is cold.");
    expect(textOf(await client.hover(uri, { line: 0, character: 5 }))).toContain("water");
    const [reader] = childrenOf(client.process.pid);
    expect(reader).toBeGreaterThan(0);
    process.kill(reader ?? 0, "SIGKILL");
    await expect
      .poll(() => log.join("\n"), { timeout: 120_000 })
      .toMatch(/the reader stopped by itself \(SIGKILL\)/);
    expect(textOf(await client.hover(uri, { line: 0, character: 5 }))).toContain("water");
    expect(childrenOf(client.process.pid)).not.toContain(reader);
  },
);

test("garbage requests are answered with errors, and the server lives on", async () => {
  const { connection } = client;
  const uri = await client.open(promptPath("garbage.txt"), "The water is cold.");
  const bad: [string, unknown][] = [
    [
      "textDocument/hover",
      { textDocument: { uri: "file:///not-open.txt" }, position: { line: 0, character: 0 } },
    ],
    ["textDocument/hover", { textDocument: { uri }, position: { line: 1e9, character: -5 } }],
    ["textDocument/hover", {}],
    ["latentWorkbench/page", { method: "__proto__", params: {} }],
    [
      "latentWorkbench/page",
      { method: "tokens", params: { uri, context: 99, from: 0, to: 1, mode: "l0" } },
    ],
    ["latentWorkbench/page", { method: "tokenCard", params: { uri, context: 0, index: 1e6 } }],
    ["latentWorkbench/page", null],
    ["no/such/method", {}],
  ];
  for (const [method, params] of bad)
    await connection.sendRequest(method, params).then(
      () => undefined,
      (error: { code: number }) => expect(typeof error.code).toBe("number"),
    );
  expect(textOf(await client.hover(uri, { line: 0, character: 5 }))).toContain("water");
});

test("a model or SAE that is not there is a sentence in the hover, and the editor stays usable", async () => {
  const text = "---\nlatent-workbench:\n  sae: ../no/such/sae\n---\nThe water is cold.";
  const uri = await client.open(promptPath("missing.prompt.md"), text);
  const hover = textOf(await client.hover(uri, { line: 4, character: 5 })) ?? "";
  expect(hover).toMatch(/no SAE at/);
  const other = await client.open(promptPath("fine.txt"), "The water is cold.");
  expect(textOf(await client.hover(other, { line: 0, character: 5 }))).toContain("water");
});

test("a file of 5 MB is refused with a sentence that says what to do", async () => {
  const uri = await client.open(promptPath("large.txt"), "The water is cold. ".repeat(270_000));
  const hover = textOf(await client.hover(uri, { line: 0, character: 5 })) ?? "";
  expect(hover).toMatch(/has \d+ characters, more than the \d+ that are analysed/);
  await client.close(uri);
});
