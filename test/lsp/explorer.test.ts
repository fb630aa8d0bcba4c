// What pages ask about latents, over the built server: lists, dashboards, contexts, places in documents, labels.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { buildIndexRun } from "../../server/engine/index/index-run.ts";
import { repoRoot } from "../parts.ts";
import { startServer } from "./server.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
const workspace = mkdtempSync(join(tmpdir(), "explorer-"));
const sae = "resid2-1024";
let client: HeadlessClient;
let uri: string;

beforeAll(async () => {
  const demo = join(repoRoot, "demo");
  cpSync(join(demo, "prompts/einstein.txt"), join(workspace, "prompts/einstein.txt"));
  const saes = [{ name: sae, path: join(demo, "saes/resid2-1024") }];
  const labels = { [sae]: { 3: "of latents.jsonc" } };
  const content = { lm: join(demo, "lm"), saes, labels };
  writeFileSync(join(workspace, "latents.jsonc"), JSON.stringify(content));
  await buildIndexRun({
    folder: join(workspace, "runs/index"),
    given: {
      kind: "index",
      sae: join(demo, "saes/resid2-1024"),
      data: { kind: "files", lm: join(demo, "lm"), files: [join(demo, "self-check.txt")], ctx: 64 },
    },
    device: "cpu",
    threads: 1,
    priority: "normal",
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  client = await startServer({ workspaceFolder: workspace });
  uri = await client.open(join(workspace, "prompts/einstein.txt"));
});
afterAll(async () => {
  await client?.stop();
  rmSync(workspace, { recursive: true, force: true });
});

const list = (query: object) =>
  client.page("latents", { sae, query: query as { kind: "all"; order: "max" }, from: 0, to: 20 });

test("SAEs come with their index, and a run that builds one is listed as such", async () => {
  const { saes } = await client.page("explorerSaes", {});
  expect(saes).toMatchObject([{ id: sae, d_sae: 1024, index: { tokens: 1275 } }]);
  const { runs } = await client.page("runs", {});
  expect(runs).toMatchObject([{ name: "index", kind: "index", state: "finished" }]);
});

test("lists: by density, by label, by token, by likeness, by what is selected", async () => {
  const dense = await list({ kind: "all", order: "density" });
  expect(dense.total).toBe(1024);
  const densities = dense.items.map(({ density }) => density ?? 0);
  expect(densities).toEqual(densities.toSorted((a, b) => b - a));
  expect(dense.items[5]?.tokens?.length ?? dense.items[5]?.label).toBeTruthy();
  expect(await list({ kind: "label", text: "JSONC of" })).toMatchObject({
    total: 1,
    items: [{ latent: 3, label: "of latents.jsonc" }],
  });
  const water = await list({ kind: "token", text: "the" });
  expect(water.items[0]?.score).toBeGreaterThan(0.3);
  const like = await list({ kind: "similar", latent: 17 });
  expect(like.total).toBe(10);
  expect(like.items.some(({ latent }) => latent === 17)).toBe(false);
  const text = readFileSync(join(workspace, "prompts/einstein.txt"), "utf8");
  const startOffset = text.indexOf("Einstein");
  const at = await list({ kind: "selection", uri, startOffset, endOffset: startOffset + 8 });
  expect(at.total).toBeGreaterThan(3);
  await expect(list({ kind: "token", text: "qqqq zzzz" })).rejects.toThrow(/no single token/);
});

test("a dashboard with contexts, places and a test box, each within the index's or the document's figures", async () => {
  const [top] = (await list({ kind: "token", text: "the" })).items;
  const latent = top!.latent;
  const card = await client.page("latentDashboard", { sae, latent });
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    await client.page("latentContexts", { sae, latent });
    best = Math.min(best, performance.now() - started);
  }
  // Both ways over the process border included; the best, because a busy machine makes single ones wait.
  expect(best).toBeLessThan(50);
  const { contexts } = await client.page("latentContexts", { sae, latent });
  const { corpus } = card;
  expect(corpus!.histogram.reduce((a, b) => a + b)).toBe(corpus!.count);
  expect(corpus!.tokens.map(({ text }) => text.trim().toLowerCase())).toContain("the");
  expect([card.logits?.top.length, card.logits?.bottom.length]).toEqual([10, 10]);
  expect(contexts[0]?.tokens[contexts[0].peak]?.act).toBeCloseTo(corpus!.max, 3);
  const { context } = await client.page("testLatent", { sae, latent, text: "In the water" });
  expect(context.tokens.find(({ text }) => text === " the")?.act).toBeGreaterThan(0);
  const { places, total } = await client.page("latentPlaces", { sae, latent, limit: 3 });
  expect(places.length).toBe(Math.min(3, total));
  await expect(client.page("latentDashboard", { sae, latent: 5000 })).rejects.toThrow(
    "resid2-1024 has no latent 5000: it has latents 0 to 1023",
  );
});

test("references of a token are the places of its strongest latent", async () => {
  const text = readFileSync(join(workspace, "prompts/einstein.txt"), "utf8");
  const character = text.indexOf("Einstein") + 1;
  const found = await client.connection.sendRequest("textDocument/references", {
    textDocument: { uri },
    position: { line: 0, character },
    context: { includeDeclaration: true },
  });
  const places = found as { uri: string; range: { start: { line: number; character: number } } }[];
  expect(
    places.some(({ range: { start } }) => start.line === 0 && start.character <= character),
  ).toBe(true);
});

test("a rule of latents.jsonc is a problem while one types, and in lint", async () => {
  const text = readFileSync(join(workspace, "prompts/einstein.txt"), "utf8");
  const startOffset = text.indexOf("Einstein");
  const [strongest] = (
    await list({ kind: "selection", uri, startOffset, endOffset: startOffset + 8 })
  ).items;
  const { latent, score } = strongest!;
  const config = join(workspace, "latents.jsonc");
  const content = JSON.parse(readFileSync(config, "utf8")) as object;
  const rule = { sae, latent, above: score! * 0.9, files: "*.txt", message: "no physicists" };
  writeFileSync(config, JSON.stringify({ ...content, rules: [rule] }));
  await client.connection.sendNotification("workspace/didChangeWatchedFiles", {
    changes: [{ uri: `file://${config}`, type: 2 }],
  });
  await vi.waitFor(() => expect(client.diagnostics.get(uri)?.length).toBeGreaterThan(0), 20_000);
  const [problem] = client.diagnostics.get(uri)!;
  expect(problem).toMatchObject({
    severity: 2,
    source: "Latent Workbench",
    code: `${sae}#${latent}`,
  });
  expect(problem?.message).toMatch(/^no physicists \(#\d+.* at [\d.]+, above [\d.]+\)$/);
  const cli = (...more: string[]) =>
    spawnSync(
      process.execPath,
      [join(repoRoot, "dist/cli.js"), "lint", "--config", config, ...more],
      {
        encoding: "utf8",
      },
    );
  const { status, stdout, stderr } = cli("--json");
  const { places } = JSON.parse(stdout) as { places: { line: number; column: number }[] };
  const { line, character } = problem!.range.start;
  expect(places).toContainEqual(
    expect.objectContaining({ line: line + 1, column: character + 1, latent }),
  );
  expect(status).toBe(1);
  expect(stderr).toContain("rules-broken");
  const inserted = [
    { range: { start: { line: 0, character: 0 }, end: { line: 99, character: 0 } }, text: "Rain." },
  ];
  await client.change(uri, inserted);
  await vi.waitFor(() => expect(client.diagnostics.get(uri)).toEqual([]), 20_000);
  await client.change(uri, [{ text }]);
  writeFileSync(config, JSON.stringify({ ...content, rules: [{ sae, latent: -1 }] }));
  expect(cli("--json").stderr).toContain("rules[0].latent is -1; expected the index of a latent");
  writeFileSync(config, JSON.stringify(content));
});

test("labels are lines of a file, sorted, and explanations keep their ids there and back", async () => {
  const file = join(workspace, "labels", `${sae}.jsonl`);
  await client.page("setLabel", { sae, latent: 40, text: " forty\n lines " });
  await client.page("setLabel", { sae, latent: 7, text: "seven" });
  await client.page("setLabel", { sae, latent: 3, text: "mine" });
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { latent: 3, label: "mine" },
    { latent: 7, label: "seven" },
    { latent: 40, label: "forty lines" },
  ]);
  const card = await client.page("latentDashboard", { sae, latent: 3 });
  expect(card.labels.map(({ text, from }) => `${from}: ${text}`)).toEqual([
    "labels: mine",
    "latents.jsonc: of latents.jsonc",
  ]);
  const rows = [
    {
      id: "clx1",
      modelId: "demo",
      layer: "2-res",
      index: "40",
      description: "imported",
      typeName: "oai_token-act-pair",
      explanationModelName: "some-model",
    },
    { id: "clx2", modelId: "demo", layer: "2-res", index: "9999", description: "beyond" },
  ];
  const exported = join(workspace, "explanations.jsonl");
  writeFileSync(exported, rows.map((row) => JSON.stringify(row)).join("\n"));
  expect(await client.page("importLabels", { sae, file: exported })).toMatchObject({ added: 1 });
  expect(await client.page("importLabels", { sae, file: exported })).toMatchObject({ added: 0 });
  const forty = await client.page("latentDashboard", { sae, latent: 40 });
  expect(forty).toMatchObject({
    neuronpediaId: "demo/2-res/40",
    labels: [{ text: "forty lines" }, { text: "imported", id: "clx1", author: "some-model" }],
  });
  const back = join(workspace, "back.jsonl");
  await client.page("exportLabels", { sae, file: back });
  const found = readFileSync(back, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(found).toContainEqual(rows[0]);
  await client.page("setLabel", { sae, latent: 7, text: "" });
  expect(readFileSync(file, "utf8")).not.toContain("seven");
  writeFileSync(file, `<<<<<<< ours\n${readFileSync(file, "utf8")}`);
  await expect(client.page("setLabel", { sae, latent: 1, text: "x" })).rejects.toThrow(
    /line 1 is no label; it is the mark of a merge conflict/,
  );
  expect(existsSync(join(workspace, "labels"))).toBe(true);
});
