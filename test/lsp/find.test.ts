// Latents for selections over the built server: ranges of an open document against other lines, and against a file.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import type { FindSelection, FindSet } from "../../server/protocol/find.ts";
import { repoRoot } from "../parts.ts";
import { startServer } from "./server.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const workspace = mkdtempSync(join(tmpdir(), "find-lsp-"));
const sae = "resid2-6144";
const subjects = ["She", "The old man", "My sister", "A sailor", "Nobody", "The train"];
const front = "---\nlatent-workbench:\n  contexts: file\n---\n";
const lines = subjects.flatMap((it) => [
  `${it} went north of the river.`,
  `${it} went slowly by the river.`,
]);
const text = `${front}${lines.join("\n")}\n`;
let client: HeadlessClient;
let uri: string;

beforeAll(async () => {
  const demo = join(repoRoot, "demo");
  const content = { lm: join(demo, "lm"), saes: [{ name: sae, path: join(demo, "saes", sae) }] };
  writeFileSync(join(workspace, "latents.jsonc"), JSON.stringify(content));
  writeFileSync(join(workspace, "a.prompt.md"), text);
  writeFileSync(join(workspace, "others.txt"), lines.filter((_, at) => at % 2 === 1).join("\n"));
  client = await startServer({ workspaceFolder: workspace });
  uri = await client.open(join(workspace, "a.prompt.md"));
});
afterAll(async () => {
  await client?.stop();
  rmSync(workspace, { recursive: true, force: true });
});

/** Each place of a word in the document. */
function places(word: string): FindSelection[] {
  return [...text.matchAll(new RegExp(word, "g"))].map(({ index }) => ({
    uri,
    startOffset: index,
    endOffset: index + word.length,
  }));
}

async function find(positive: FindSet, negative: FindSet) {
  const { search } = await client.page("findByExamples", { sae, positive, negative, pool: "max" });
  const query = { kind: "found", search } as const;
  const { items, total } = await client.page("latents", { sae, query, from: 0, to: 100 });
  return { found: await client.page("foundLatents", { search }), items, total };
}

test("selected words against selected words: the explorer lists what tells them apart", async () => {
  const first = { selections: places("north") };
  const { found, items, total } = await find(first, { selections: places("slowly") });
  expect(found).toMatchObject({ positives: 6, negatives: 6, heldPositives: 3, heldNegatives: 3 });
  expect(total).toBe(found.latents.length);
  expect(items.map(({ latent }) => latent)).toEqual(found.latents.map(({ latent }) => latent));
  expect(items[0]!.score).toBe(1);
  expect(items.map(({ note }) => note)).toContain("first, F1 1.00");
  expect(items.some(({ label }) => label?.startsWith("compass direction"))).toBe(true);
  expect(found.notes.join()).toMatch(/only 3 and 3 examples are held out/);
  // Only the tokens of the selection count: the river is in all lines, and what it fires is in none.
  const river = await client.page("latents", {
    sae,
    query: { kind: "selection", ...places("river")[0]! },
    from: 0,
    to: 3,
  });
  const strongest = river.items[0]!.latent;
  expect(found.latents.find(({ latent }) => latent === strongest)?.positiveMean ?? 0).toBe(0);
});

test("lines against a file's; what lies in the front matter is left out and said", async () => {
  const own = lines
    .filter((_, at) => at % 2 === 0)
    .map((line) => ({
      uri,
      startOffset: text.indexOf(line),
      endOffset: text.indexOf(line) + line.length,
    }));
  const selections = [{ uri, startOffset: 4, endOffset: 20 }, ...own];
  const { found } = await find({ selections }, { file: join(workspace, "others.txt") });
  expect(found).toMatchObject({ positives: 6, negatives: 6 });
  expect(found.notes.at(-1)).toBe(
    "1 selections lie outside of what the model reads and are left out",
  );
});

test("too few, and a search that is forgotten", async () => {
  const few = { selections: places("Nobody") };
  await expect(find(few, few)).rejects.toThrow("there are 2 and 2 examples: each set needs 4");
  await expect(client.page("foundLatents", { search: "search-99" })).rejects.toThrow(
    /is forgotten/,
  );
});
