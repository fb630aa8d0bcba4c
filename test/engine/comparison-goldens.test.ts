/** Comparisons against transformers, torch, SAELens, SciPy and difflib: test/python/comparison_goldens.py. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine } from "../../server/engine/engine.ts";
import { repoRoot } from "../parts.ts";
import { demoLm, demoSae, openEngine, plainContext } from "./engine.ts";

interface Figures {
  readonly change: number;
  readonly dissimilarity: number;
  readonly latents: readonly { latent: number; change: number }[];
}

interface Golden {
  readonly sentences: readonly string[];
  readonly cells: readonly (Figures & {
    leftOut: number;
    affected: number;
    tokens: number;
    notCompared: number;
  })[];
  readonly texts: { before: string; after: string; pairs: [number, number][]; shared: Figures };
}

const path = join(repoRoot, "test/golden/comparison/golden.json");
const golden = JSON.parse(readFileSync(path, "utf8")) as Golden;
const sae = "resid2-6144";
let engine: Engine;
let lm: string;
beforeAll(async () => {
  engine = await openEngine();
  ({ id: lm } = await engine.loadLm({ path: demoLm }));
  await engine.loadSae({ path: demoSae(sae), lm });
});
afterAll(() => engine.close());

/** The same sums to 1e-4 of their size, and the same latents with the largest changes. */
function expectFigures(found: Figures, expected: Figures): void {
  expect(Math.abs(found.change / expected.change - 1)).toBeLessThan(1e-4);
  expect(Math.abs(found.dissimilarity - expected.dissimilarity)).toBeLessThan(1e-5);
  for (const [rank, { latent, change }] of expected.latents.entries()) {
    expect(found.latents[rank]!.latent).toBe(latent);
    expect(Math.abs(found.latents[rank]!.change / change - 1)).toBeLessThan(1e-3);
  }
}

test("cells of a counterfactual map", async () => {
  const context = plainContext(golden.sentences.join(""));
  const { cells, sentences } = await engine.counterfactual({ lm, sae, context, top: 5 });
  expect(sentences.map((it) => it.text)).toEqual(golden.sentences);
  expect(cells).toHaveLength(golden.cells.length);
  for (const [index, expected] of golden.cells.entries()) {
    const { leftOut, affected, tokens, notCompared } = expected;
    expect(cells[index]).toMatchObject({ leftOut, affected, tokens, notCompared });
    expectFigures(cells[index]!, expected);
  }
});

test("tokens of two texts that both have", async () => {
  const { before, after, pairs, shared } = golden.texts;
  const sides = { before: plainContext(before), after: plainContext(after) };
  const options = { tokens: "shared", top: 2000, topPerToken: 5 } as const;
  const found = await engine.compare({ lm, sae, ...sides, ...options });
  const both = found.rows.filter((it) => it.before !== undefined && it.after !== undefined);
  expect(both.map((it) => [it.before, it.after])).toEqual(pairs);
  expectFigures(found, shared);
});
