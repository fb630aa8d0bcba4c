import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Level, RepairedLabel } from "../../server/protocol/decompositions.ts";
import type { MetaReport } from "../../server/engine/verbs/meta.ts";
import type { StitchResult } from "../../server/engine/verbs/stitch.ts";
import { repoRoot } from "../parts.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-cli-"));
const demo = (name: string): string => join(repoRoot, "demo/saes", name);

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repoRoot, "dist/cli.js"), ...args],
    { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: scratch } },
  );
  return { code: status, out: stdout, err: stderr };
}

test("meta --json: summary, a breakdown with labels, members, the nearest narrow latents", () => {
  const pair = ["--sae", demo("resid2-6144"), "--meta", demo("meta-512")];
  const asked = ["--latent", "2182", "--meta-latent", "173", "--narrow", demo("resid2-1024")];
  const { code, out, err } = run("meta", ...pair, ...asked, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const report = JSON.parse(out) as MetaReport;
  expect(report).toMatchObject({ schemaVersion: 1, summary: { meta: "meta-512", d_sae: 512 } });
  const [latent] = report.latents;
  expect(latent?.label).toBe("the (most uses)");
  expect(latent?.parts[0]).toMatchObject({
    latent: 173,
    label: expect.stringContaining("articles"),
  });
  const [articles] = report.metaLatents;
  expect(articles?.members[0]).toMatchObject({ latent: 2182, label: "the (most uses)" });
  expect(report.comparison?.nearest).toHaveLength(512);

  const wrong = run("meta", ...pair, "--latent", "6144");
  expect(wrong).toMatchObject({
    code: 1,
    err: "resid2-6144 has no latent 6144: its latents go from 0 to 6143\n",
  });
});

test("stitch --json: a report, and an SAE on disk that reads text", () => {
  const output = join(scratch, "stitched");
  const pair = [demo("resid2-6144"), demo("resid2-1024"), "--lm", join(repoRoot, "demo/lm")];
  const few = ["--tokens", "120", "--ce-latents", "2", "--points", "1"];
  const { code, out, err } = run("stitch", ...pair, ...few, "--output", output, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const result = JSON.parse(out) as StitchResult;
  expect(result).toMatchObject({ schemaVersion: 1, narrow: "resid2-1024", wide: "resid2-6144" });
  expect(result.latents).toHaveLength(6144);
  expect(result.latents.filter(({ deltaCe }) => deltaCe !== null)).toHaveLength(2);
  expect(result.written?.d_sae).toBe(1024 + (result.written?.inserted ?? 0));
  const file = join(repoRoot, "demo/prompts/einstein.txt");
  const read = run("inspect", file, "--lm", join(repoRoot, "demo/lm"), "--sae", output, "--json");
  expect(read.code).toBe(0);

  const wrong = run("stitch", ...pair, "--swap", "some");
  expect(wrong).toMatchObject({
    code: 1,
    err: "--swap is some; expected none, reconstruction, everything or latents separated by commas\n",
  });
});

test("repair --json: precision and recall of letters before and after, beside shuffled breakdowns", () => {
  const pair = ["--sae", demo("resid2-6144-k2"), "--meta", demo("meta-512")];
  const { code, out, err } = run("repair", ...pair, "--words-per-label", "12", "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { labels, ...head } = JSON.parse(out) as { labels: RepairedLabel[] };
  expect(head).toMatchObject({ schemaVersion: 1, sae: "resid2-6144-k2", meta: "meta-512" });
  expect(labels.length).toBeGreaterThan(15);
  for (const { before, after, parts, main } of labels) {
    expect(main.length).toBeGreaterThan(0);
    expect(after.recall).toBeGreaterThanOrEqual(before.recall);
    if (parts.every(({ part }) => part === undefined)) expect(after).toEqual(before);
  }
});

test("levels --json: SAEs and a meta-SAE by length, loss and F1", () => {
  const saes = ["--sae", demo("resid2-6144"), "--sae", demo("resid2-1024")];
  const given = ["--meta", demo("meta-512"), "--words-per-label", "10", "--json"];
  const { code, out, err } = run("levels", ...saes, ...given);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { levels } = JSON.parse(out) as { levels: Level[] };
  expect(levels.map(({ sae, meta }) => [sae, meta])).toEqual([
    ["resid2-6144", undefined],
    ["resid2-6144", "meta-512"],
    ["resid2-1024", undefined],
  ]);
  expect(levels.every(({ f1 }) => f1.length === 4)).toBe(true);
  expect(levels[0]!.fvu).toBeLessThan(levels[2]!.fvu);
});
