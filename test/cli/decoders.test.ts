import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { MetaReport } from "../../server/engine/verbs/meta.ts";
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
