// `absorption` on the demo's SAE that shows it, as a user runs it.
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import type { AbsorptionReport } from "../../server/protocol/absorption.ts";
import type { AbsorptionSweep } from "../../server/protocol/absorption-sweep.ts";
import { repoRoot } from "../parts.ts";

const demo = join(repoRoot, "demo");
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-absorption-"));

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repoRoot, "dist/cli.js"), "absorption", ...args],
    { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: scratch }, maxBuffer: 2 ** 26 },
  );
  return { code: status, out: stdout, err: stderr };
}

const examples = (
  JSON.parse(readFileSync(join(repoRoot, "test/golden/demo/absorption_examples.json"), "utf8")) as {
    examples: { letter: string; main_latents: number[]; main_cosine: number[] }[];
  }
).examples;

test("main latents, cosines and absorbed words of resid2-6144-k2; the second run recalls the first", () => {
  const folder = join(scratch, "out");
  const args = [
    "--sae",
    join(demo, "saes/resid2-6144-k2"),
    "--json",
    "--all-words",
    "--labels",
    join(demo, "labels/first-letter.jsonc"),
    "--words-per-label",
    "35",
    "--words-per-draw",
    "8",
    "--output",
    folder,
  ];
  const first = run(...args);
  expect(first.err).toBe("");
  const { saes } = JSON.parse(first.out) as { saes: AbsorptionReport[] };
  const report = saes[0]!;
  expect(report).toMatchObject({ schemaVersion: 1, sae: "resid2-6144-k2", rule: "sae-bench" });
  const byLetter = new Map(report.labels.map((it) => [it.label, it]));
  for (const letter of ["a", "f", "h", "i", "o", "s", "t"]) {
    const wanted = examples.find((it) => it.letter === letter)!;
    const found = byLetter.get(letter)!;
    expect(found.main.map((it) => it.latent).slice(0, 1), letter).toEqual(wanted.main_latents);
    // Of the probe on a sixth of the words; on all words the cosines agree within 0.04.
    expect(Math.abs(found.main[0]!.cosine - wanted.main_cosine[0]!)).toBeLessThan(0.12);
    expect(found.probe.f1).toBeGreaterThan(0.8);
    for (const word of found.words) {
      if (!word.isFull) continue;
      expect(word.mainFires).toBe(false);
      expect(word.strongest[0]!.projection / word.projection).toBeGreaterThanOrEqual(0.4);
    }
  }
  const full = report.labels.reduce((sum, it) => sum + it.full, 0);
  expect(full).toBeGreaterThan(20);
  const again = run(...args);
  expect(again.out).toBe(first.out);
  const written = JSON.parse(readFileSync(join(folder, "resid2-6144-k2.json"), "utf8")) as object;
  expect(written).toEqual({
    ...report,
    sweep: expect.objectContaining({ row: expect.anything() }),
  });
}, 1_200_000);

test("a sweep that was stopped goes on behind what it finished, without a cache", async () => {
  const folder = join(scratch, "sweep");
  const names = ["resid2-1024", "resid2-6144", "resid2-6144-k2"];
  const args = [
    ...[...names, "meta-512"].flatMap((name) => ["--sae", join(demo, "saes", name)]),
    "--labels",
    join(demo, "labels/first-letter.jsonc"),
    "--words-per-label",
    "12",
    "--words-per-draw",
    "8",
    "--output",
    folder,
  ];
  const [first, last] = [`${names[0]}.json`, `${names[2]}.json`].map((it) => join(folder, it));
  const program = [join(repoRoot, "dist/cli.js"), "absorption", ...args];
  const env = { ...process.env, XDG_CACHE_HOME: join(scratch, "first-cache") };
  const stopped = spawn(process.execPath, program, { env, stdio: "ignore" });
  const ended = new Promise((resolve) => stopped.on("exit", resolve));
  while (!existsSync(first!) && stopped.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 5));
  stopped.kill("SIGKILL");
  await ended;
  expect(existsSync(last!)).toBe(false);
  const written = statSync(first!).mtimeMs;

  const { out, code } = run(...args, "--json");
  expect(code).toBe(1);
  const { sweep } = JSON.parse(out) as { sweep: AbsorptionSweep };
  expect(statSync(first!).mtimeMs).toBe(written);
  expect(JSON.parse(readFileSync(join(folder, "sweep.json"), "utf8"))).toEqual(sweep);
  expect(sweep.rows.map((it) => it.sae)).toEqual(names);
  expect(sweep.rows[2]).toMatchObject({ architecture: "batchtopk", trainedWith: [], d_sae: 6144 });
  expect(sweep.rows[2]!.l0).toBeLessThan(sweep.rows[1]!.l0 / 4);
  expect(sweep.failed).toEqual([
    { sae: "meta-512", problem: expect.stringContaining("is a meta-SAE") as string },
  ]);
  expect(run(...args).out).toMatch(/^resid2-1024: finished before\nresid2-6144: finished before/);
  // Another seed is another sweep.
  run(...args, "--seed", "1");
  expect(statSync(first!).mtimeMs).toBeGreaterThan(written);
}, 120_000);

test("in running text words are read where they stand, and what the sample is too short for is said", () => {
  const { out } = run("--sae", join(demo, "saes/resid2-1024"), "--setting", "text", "--json");
  const [report] = (JSON.parse(out) as { saes: AbsorptionReport[] }).saes;
  expect(report).toMatchObject({ setting: "text", sae: "resid2-1024" });
  expect(report!.trainWords).toBeGreaterThan(300);
  expect(report!.problems.join()).toContain("too few words for");
  expect(report!.labels.some((it) => !it.probeCounts)).toBe(true);
}, 60_000);

test.each([
  [["--sae", "nowhere"], /no SAE at nowhere/],
  [["--sae", join(demo, "saes/resid2-1024"), "--labels", "nothing"], /no labelled task nothing/],
  [["--sae", join(demo, "saes/resid2-1024"), "--max-k", "99"], /from 1 to 50/],
])("refuses %j", (args, message) => {
  const { code, err } = run(...args, "--json");
  expect(code).toBe(1);
  expect((JSON.parse(err) as { error: { text: string } }).error.text).toMatch(message);
});
