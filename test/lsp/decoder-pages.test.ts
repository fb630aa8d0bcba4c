/** The pages about decoders ask the built server and reader. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";
import { startServer, textOf } from "./server.ts";

let client: HeadlessClient;
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-"));
beforeAll(async () => {
  client = await startServer();
});
afterAll(async () => {
  await client.stop();
  rmSync(scratch, { recursive: true, force: true });
});

test("the meta-SAE explorer: pairs, search by label and number, breakdown and members", async () => {
  expect(await client.page("metaPairs", {})).toEqual([
    { meta: "meta-512", parent: "resid2-6144", narrower: [] },
  ]);
  const meta = "meta-512";
  const overview = await client.page("metaOverview", { meta });
  expect(overview.varianceExplained).toBeCloseTo(0.424, 3);
  const list = { meta, from: 0, to: 5 };
  const all = await client.page("metaSearch", { ...list, of: "meta", query: "" });
  expect(all.total).toBe(512);
  expect(all.rows.map((row) => row.members)).toEqual(
    all.rows.map((row) => row.members).toSorted((a, b) => (b ?? 0) - (a ?? 0)),
  );
  const found = await client.page("metaSearch", { ...list, of: "meta", query: "Articles a" });
  expect(found.rows).toMatchObject([{ latent: 173 }]);
  const one = await client.page("metaSearch", { ...list, of: "parent", query: "#2182" });
  expect(one).toEqual({ total: 1, rows: [{ latent: 2182, label: "the (most uses)" }] });
  const { parts, label } = await client.page("metaBreakdown", { meta, latent: 2182 });
  expect(label).toBe("the (most uses)");
  expect(parts[0]).toMatchObject({ latent: 173 });
  const members = await client.page("metaMemberRows", { meta, latent: 173, from: 1, to: 3 });
  expect(members.members).toHaveLength(2);
  expect(members.count).toBe(100);
  await expect(client.page("metaBreakdown", { meta, latent: 6144 })).rejects.toThrow(
    "resid2-6144 has no latent 6144",
  );
});

test("stitching: a pair to begin with, a measurement, its latents by range, a stitched SAE in use", async () => {
  const { candidates, a = "", b = "" } = await client.page("stitchCandidates", {});
  expect([a, b].map((it) => it.split("/").at(-1))).toEqual(["resid2-1024", "resid2-6144"]);
  expect(candidates.map(({ id }) => id)).not.toContain("meta-512");
  const everything = { cosine: [-2, 2], delta: [-1e30, 1e30] } as const;
  const list = { ...everything, sort: "deltaMse", descending: false, from: 0, to: 4 } as const;
  await expect(client.page("stitchLatents", list)).rejects.toThrow("nothing has been measured");
  const figures = await client.page("stitchMeasure", {
    a: b,
    b: a,
    files: [],
    tokens: 150,
    rule: "effect",
    ceLatents: 2,
    points: 1,
  });
  expect(figures).toMatchObject({ narrow: "resid2-1024", wide: "resid2-6144", wideLatents: 6144 });
  expect(figures.points.latent).toHaveLength(figures.fired);
  const { total, rows } = await client.page("stitchLatents", list);
  expect(total).toBe(figures.fired);
  expect(rows.map((row) => row.deltaMse)).toEqual(
    rows.map((row) => row.deltaMse).toSorted((x, y) => x - y),
  );
  const some = await client.page("stitchLatents", { ...list, cosine: [0.7, 1], sort: "cosine" });
  expect(some.rows.every(({ cosine, group }) => cosine > 0.7 && group >= 2)).toBe(true);
  const measured = await client.page("stitchLatents", { ...list, sort: "deltaCe" });
  expect(measured.rows.map(({ deltaCe }) => deltaCe !== null)).toEqual([true, true, false, false]);

  const folder = join(scratch, "stitched");
  const written = await client.page("stitchWrite", { insert: "novel", swap: "none", folder });
  expect(written.d_sae).toBe(1024 + written.inserted);
  expect(existsSync(join(folder, "cfg.json"))).toBe(true);
  const { saes } = await client.page("stitchUse", { folder });
  expect(saes.at(-1)).toBe(folder);
  expect(await client.page("stitchProgress", {})).toMatchObject({ share: 1 });
});

test("a stack: a meta-SAE of a meta-SAE is trained from its decoder, and is in use beside both", async () => {
  const saes = ["resid2-6144", "meta-512"].map((name) => join(repoRoot, "demo/saes", name));
  const file = join(scratch, "stack.run.jsonc");
  const train = { architecture: "topk", d_sae: 64, k: 4, steps: 60, lr: 3e-3 };
  const data = { kind: "decoder-rows", sae: saes[1] };
  const run = { name: "stack", data, batch: 128, saes: [{ name: "meta-64", train }] };
  writeFileSync(file, JSON.stringify(run));
  const folder = join(scratch, "meta-64");
  const args = [join(repoRoot, "dist/cli.js"), "train", file, "--output", folder];
  expect(spawnSync(process.execPath, args, { encoding: "utf8" })).toMatchObject({ status: 0 });
  const stacked = await startServer({ settings: { saes: [...saes, join(folder, "sae")] } });
  const uri = await stacked.open(join(repoRoot, "demo/prompts/einstein.txt"));
  const pairs = await stacked.page("metaPairs", { uri });
  expect(pairs.map((it) => [it.meta, it.parent])).toEqual([
    ["meta-512", "resid2-6144"],
    ["meta-64", "meta-512"],
  ]);
  const meta = "meta-64";
  const overview = await stacked.page("metaOverview", { meta });
  expect(overview.varianceExplained).toBeGreaterThan(overview.shuffledColumns);
  const broken = await stacked.page("metaBreakdown", { meta, latent: 173 });
  expect(broken.label).toMatch(/^articles and determiners/);
  expect(broken.parts.length).toBe(4);
  // Of meta-latents without a label of their own, the one that their members suggest.
  const all = { meta, of: "parent", query: "", from: 0, to: 512 } as const;
  const { rows } = await stacked.page("metaSearch", all);
  expect(rows.some((it) => it.derived)).toBe(true);
  // Texts go on being read by the SAE, whose latents the first meta-SAE takes apart.
  const hover = textOf(await stacked.hover(uri, { line: 0, character: 2 }));
  expect(hover).toMatch(/⊂ .*% explained/);
  await stacked.stop();
}, 60_000);
