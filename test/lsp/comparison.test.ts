import { afterAll, beforeAll, expect, test } from "vitest";
import { CancellationTokenSource } from "vscode-languageserver/node";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { promptPath, startServer } from "./server.ts";

let client: HeadlessClient;
beforeAll(async () => (client = await startServer()));
afterAll(() => client.stop());

const uri = "file:///elsewhere/a.prompt.md";
const head = "---\ntitle: x\n---\nThe ship sailed. The water was cold.\n";
const now = "---\ntitle: y\n---\nThe ship sailed. The water was warm. It rained.\n";

test("two versions of a file that nobody opened: ranges are those of each version", async () => {
  const sides = { before: { uri, text: head }, after: { uri, text: now } };
  const found = await client.page("compareTexts", { ...sides, tokens: "all" });
  expect(found.pairs).toEqual([{ title: "whole file", state: "changed" }]);
  expect(found.sae).toBe("resid2-6144");
  for (const [tokens, text] of [
    [found.before, head],
    [found.after, now],
  ] as const)
    for (const token of tokens.slice(1))
      expect(text.slice(token.startOffset, token.endOffset)).toBe(token.text);
  const alone = found.rows.filter((it) => it.before === undefined);
  // The second full stop, before the line break, is the one that both texts have.
  expect(alone.map((it) => found.after[it.after!]!.text).join("")).toBe(" warm. It rained");
  const [first] = found.latents;
  expect(first!.change).toBeGreaterThan(0);
  // A number where JSON has none would arrive as null.
  expect(JSON.stringify(found)).not.toContain("null");
});

test("nothing is beside a context that was added", async () => {
  const file = "file:///elsewhere/a.jsonl";
  const line = '{"messages": [{"role": "user", "content": "Hi"}]}\n';
  const sides = { before: { uri: file, text: line }, after: { uri: file, text: line + line } };
  const asked = client.page("compareTexts", { ...sides, tokens: "all", pair: 1 });
  await expect(asked).rejects.toThrow("was added: there is nothing to compare it with");
});

test("a map of a document: sentences with their places in the file", async () => {
  const text = "---\ntitle: x\n---\nThe ship sailed. The water was cold. Nobody spoke.\n";
  const opened = await client.open(promptPath("map.prompt.md"), text);
  const found = await client.page("counterfactualText", { uri: opened, context: 0 });
  expect(found.sentences.map((it) => text.slice(it.startOffset, it.endOffset))).toEqual(
    found.sentences.map((it) => it.text),
  );
  expect(found.sentences).toHaveLength(3);
  expect(found.cells.map((it) => [it.leftOut, it.affected])).toEqual([
    [0, 1],
    [0, 2],
    [1, 2],
  ]);
  expect(found.contexts).toEqual(["whole file"]);
});

test("progress is told, and a map that is given up ends", async () => {
  const long = "The water was cold and nobody on the ship spoke. ".repeat(20);
  const opened = await client.open(promptPath("long.txt"), long);
  const source = new CancellationTokenSource();
  const pending = client.page("counterfactualText", { uri: opened, context: 0 }, source.token);
  setTimeout(() => source.cancel(), 30);
  const ended = pending.then(
    () => "answered",
    (error: { code: number }) => error.code,
  );
  expect(await ended).toBe(-32800);
});
