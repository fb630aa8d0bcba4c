// `absorption --rule paper` on the demo's SAE that shows absorption, as a user runs it.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import type { AbsorptionReport } from "../../server/protocol/absorption.ts";
import { repoRoot } from "../parts.ts";

const demo = join(repoRoot, "demo");
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-causal-"));

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repoRoot, "dist/cli.js"), "absorption", "--rule", "paper", ...args],
    { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: scratch }, maxBuffer: 2 ** 26 },
  );
  return { code: status, out: stdout, err: stderr };
}

const args = [
  "--sae",
  join(demo, "saes/resid2-6144-k2"),
  "--labels",
  join(demo, "labels/first-letter.jsonc"),
  "--all-words",
  "--words-per-label",
  "16",
  "--words-per-draw",
  "8",
  "--rule-words",
  "3",
];

test("every step of the rule, rates scaled by the share that was drawn, and what removals do; the second run recalls the first", () => {
  const first = run(...args, "--json");
  expect(first.err).toBe("");
  const report = (JSON.parse(first.out) as { saes: AbsorptionReport[] }).saes[0]!;
  const paper = report.paper!;
  expect(report).toMatchObject({ schemaVersion: 1, rule: "sae-bench" });
  const { thresholds } = paper;
  expect(thresholds).toMatchObject({ margin: 1, cosine: 0.025, steps: 6, wordsPerLabel: 3 });
  const judged = report.labels.filter((it) => it.probeCounts && it.hasMainLatents);
  expect(paper.labels.map((it) => it.label)).toEqual(judged.map((it) => it.label));
  const words = paper.labels.flatMap((it) => it.words);
  expect(words.length).toBeGreaterThan(10);
  for (const it of words) {
    expect(it.sparseScore).toBeLessThanOrEqual(0);
    expect(it.isSilent).toBe(it.mainActivation < 1e-8);
    expect(it.standsOut).toBe(it.margin >= 1);
    const isAbsorbed = it.isSilent && it.lowers && it.standsOut && it.isAligned;
    expect(it.verdict === "absorbed").toBe(isAbsorbed);
    if (it.top && it.isSilent) expect(it.strongest[0]).toEqual(it.top);
    expect(it.prompt.endsWith(`${it.word} has the first letter:`)).toBe(true);
  }
  expect(words.some((it) => it.verdict === "absorbed")).toBe(true);
  for (const it of paper.labels) {
    expect(it.answer).toBe(` ${it.label.toUpperCase()}`);
    expect(it.words).toHaveLength(it.silentJudged + it.weakJudged);
    expect(it.silentJudged).toBe(Math.min(3, it.silent));
    const scale = it.silentJudged === 0 ? 0 : it.silent / it.silentJudged;
    expect(it.absorptionRate).toBeCloseTo((it.absorbed * scale) / it.truePositives, 12);
  }
  const effect = (kind: string) => paper.effects.find((it) => it.kind === kind)!;
  for (const { mean, low, high } of paper.effects) {
    expect(low).toBeLessThanOrEqual(mean);
    expect(high).toBeGreaterThanOrEqual(mean);
  }
  // The letter hangs on main latents where they fire, and far less on other latents of the same words.
  expect(effect("main").high).toBeLessThan(-1);
  expect(effect("other-active").low).toBeGreaterThan(effect("main").high);
  expect(paper.agreement.correlation).toBeGreaterThan(0.7);
  expect(run(...args, "--json").out).toBe(first.out);
}, 120_000);

test("as text, with the metric, the controls and the constants", () => {
  const { out } = run(...args);
  expect(out).toContain("by the paper's causal rule (Chanin et al. 2024)");
  expect(out).toMatch(/random latent, as much as the absorber +−?\d\.\d{3} {2}\[/);
  expect(out).toContain("margin 1, cosine 0.025, steps 6");
}, 60_000);

test.each([
  [["--setting", "text"], /asks nothing: read the words of first-letter in its prompts/],
  [["--rule-words", "0"], /whole number from 1/],
])("refuses %j", (more, message) => {
  const { code, err } = run("--sae", join(demo, "saes/resid2-1024"), ...more, "--json");
  expect(code).toBe(1);
  expect((JSON.parse(err) as { error: { text: string } }).error.text).toMatch(message);
});
