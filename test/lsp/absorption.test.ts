// Absorption in the real hover: a prepared task at the demo's SAE that shows it.
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";
import { promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
beforeAll(async () => {
  const cacheFolder = mkdtempSync(join(tmpdir(), "latent-workbench-live-"));
  client = await startServer({ settings: { cacheFolder } });
});
afterAll(() => client.stop());

/** The hover on the word whose line is `\n word has the first letter:` without an answer. */
async function hoverOn(uri: string, text: string, word: string): Promise<string> {
  const before = text.split(`\n ${word} has the first letter:\n`)[0] ?? "";
  const line = before.split("\n").length;
  return textOf(await client.hover(uri, { line, character: 2 })) ?? "";
}

test("nothing is said before a task is prepared; then for, from and have are absorbed, found and free fire", async () => {
  const files = ["absorbed.prompt.md", "not-absorbed.prompt.md"];
  const [absorbed = "", firing = ""] = files.map((name) => readFileSync(promptPath(name), "utf8"));
  const uris: string[] = [];
  for (const name of files) uris.push(await client.open(promptPath(name)));
  const [absorbedUri = "", firingUri = ""] = uris;
  expect(await hoverOn(absorbedUri, absorbed, "for")).not.toContain("first-letter");
  const { tasks } = await client.page("absorptionTasks", {});
  expect(tasks.map((it) => it.name)).toContain("first-letter");
  const { prepared } = await client.page("prepareAbsorption", {
    uri: absorbedUri,
    labels: join(repoRoot, "demo/labels/first-letter.jsonc"),
    setting: "prompts",
  });
  expect(prepared.map((it) => it.sae)).toEqual(["resid2-6144-k2"]);
  // What the page asks: the same figures, recalled, with labels for what they name.
  const { saes } = await client.page("absorptionChoices", { uri: absorbedUri });
  expect(saes.map((it) => it.id)).toEqual(["resid2-6144-k2"]);
  const { report } = await client.page("measureAbsorption", {
    uri: absorbedUri,
    sae: "resid2-6144-k2",
    labels: join(repoRoot, "demo/labels/first-letter.jsonc"),
    setting: "prompts",
  });
  expect(report).toEqual(prepared[0]?.report);
  const f = report.labels.find((it) => it.label === "f");
  expect(f?.main.map((it) => it.latent)).toContain(1527);
  for (const it of f?.words ?? []) expect(it.strongest.length, it.word).toBeGreaterThan(0);
  for (const [word, letter, main, absorber] of [
    ["for", "f", 1527, 5982],
    ["from", "f", 1527, 2950],
    ["have", "h", 6069, 1738],
  ] as const) {
    const hover = await hoverOn(absorbedUri, absorbed, word);
    expect(hover, word).toMatch(
      new RegExp(
        `\\*\\*absorbed\\*\\* · first-letter “${letter}”: probe (1\\.00|0\\.\\d\\d) \\(F1 [01][.\\d]* on held-out words\\); main #${main} silent \\(pre-activation [\\d.-]+, threshold 52\\.7, F1 0\\.\\d+\\); #${absorber} carries [01]\\.\\d\\d of the probe's projection`,
      ),
    );
    // Why the main latent stayed silent: parts that sum to its pre-activation.
    const parts =
      /probe's direction gives ([\d.-]+), #\d+'s row besides it ([\d.-]+) \(cosine with #\d+'s encoder -?0\.\d\d, with its decoder row -?0\.\d\d\), the rest ([\d.-]+)/.exec(
        hover,
      );
    const sum = [1, 2, 3].reduce((total, at) => total + Number(parts?.[at]), 0);
    const preActivation = Number(/pre-activation ([\d.-]+),/.exec(hover)?.[1]);
    expect(Math.abs(sum - preActivation)).toBeLessThan(2);
  }
  for (const word of ["found", "free"]) {
    const hover = await hoverOn(firingUri, firing, word);
    expect(hover, word).toMatch(/\*\*fires[^*]*\*\* · first-letter “f”: .*main #1527 \d+/);
  }
  // The prompts' probe says nothing of a word in running text.
  const plain = await client.open(
    promptPath("plain.prompt.md"),
    "---\nlatent-workbench:\n  saes: [resid2-6144-k2]\n---\nWe wait for rain.\n",
  );
  expect(textOf(await client.hover(plain, { line: 4, character: 9 })) ?? "").not.toContain(
    "first-letter",
  );
}, 1_800_000);
