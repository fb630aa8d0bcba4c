import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DiffResult, LeftOutResult } from "../../server/engine/verbs/comparison.ts";
import { repoRoot } from "../parts.ts";

const folder = mkdtempSync(join(tmpdir(), "latent-workbench-"));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const program = join(repoRoot, "dist/cli.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

const before = file("a.txt", "The ship sailed.\n\nThe water was cold.\n");
const after = file("b.txt", "New.\n\nThe ship sailed.\n\nThe water was warm.\n");

test("diff --json: paragraphs in pairs, tokens aligned by their ids, latents with their kinds", () => {
  const { code, out } = run("diff", before, after, "--contexts", "paragraphs", "--json");
  expect(code).toBe(0);
  const { pairs, sae } = JSON.parse(out) as DiffResult;
  expect(sae).toBe("resid2-6144");
  expect(pairs.map(({ title, state }) => [title, state])).toEqual([
    ["paragraph 1", "added"],
    ["paragraph 2", "same"],
    ["paragraph 3", "changed"],
  ]);
  const { rows, latents, before: a, after: b, counts } = pairs[2]!;
  const words = rows!.map((row) => [a![row.before ?? -1]?.text, b![row.after ?? -1]?.text]);
  expect(words.slice(-3)).toEqual([
    [" cold", undefined],
    [undefined, " warm"],
    [".", "."],
  ]);
  for (const kind of ["appears", "vanishes", "changes"] as const) {
    const listed = latents!.filter((it) => it.kind === kind);
    expect(listed).toHaveLength(Math.min(20, counts![kind]));
  }
  expect(counts!.appears).toBeGreaterThan(0);
});

test("diff in words; tokens of one text alone can be left out", () => {
  const { code, out } = run("diff", before, after, "--tokens", "shared", "--top", "3");
  expect(code).toBe(0);
  expect(out).toMatch(/whole file: changed; \d+ latents appear, \d+ vanish, \d+ change/);
});

test("counterfactual --json: a cell for each sentence and each one after it", () => {
  const text = file("c.txt", "The ship sailed. It was cold. Nobody spoke.");
  const { code, out } = run("counterfactual", text, "--json");
  expect(code).toBe(0);
  const { sentences, cells } = JSON.parse(out) as LeftOutResult;
  expect(sentences.map((it) => it.text)).toEqual([
    "The ship sailed. ",
    "It was cold. ",
    "Nobody spoke.",
  ]);
  expect(cells.map((it) => [it.leftOut, it.affected])).toEqual([
    [0, 1],
    [0, 2],
    [1, 2],
  ]);
  for (const { change, latents } of cells) {
    expect(change).toBeGreaterThan(0);
    expect(latents.length).toBeLessThanOrEqual(8);
  }
});

test("what cannot be done is said in one sentence", () => {
  expect(run("counterfactual", file("d.txt", "One sentence."))).toMatchObject({
    code: 1,
    err: expect.stringContaining("fewer than two sentences") as string,
  });
  expect(run("counterfactual", before, "--context", "4")).toMatchObject({
    code: 1,
    err: expect.stringContaining("has 1 contexts, numbered from 0: there is no 4") as string,
  });
  expect(run("diff", before, after, "--lm", "elsewhere")).toMatchObject({
    code: 1,
    err: expect.stringContaining("no SAE is given for elsewhere") as string,
  });
});
