// `find` on the demo: sentences with a compass direction, and the same with another word.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Inspection } from "../../server/engine/verbs/inspect.ts";
import type { FoundLatents } from "../../server/protocol/find.ts";
import { repoRoot } from "../parts.ts";

const scratch = mkdtempSync(join(tmpdir(), "find-"));
const subjects = [
  "She",
  "The old man",
  "My sister",
  "A sailor",
  "Nobody",
  "The train",
  "Our cat",
  "The wind",
];
const directions = ["north", "south", "east", "west"];
const others = ["slowly", "today", "quietly", "again"];
const lines = (words: readonly string[]): string =>
  subjects.flatMap((it) => words.map((word) => `${it} went ${word} of the river.`)).join("\n");

function find(...args: string[]): { code: number | null; out: string; err: string } {
  const cli = join(repoRoot, "dist/cli.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, "find", ...args], {
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

const [first, second, few] = ["first.txt", "second.txt", "few.txt"].map((it) =>
  join(scratch, it),
) as [string, string, string];
writeFileSync(first, lines(directions));
writeFileSync(second, lines(others));
writeFileSync(few, "One.\nTwo.\nThree.");

/** What `find` said before, once for each question. */
const asked = new Map<string, FoundLatents>();
function found(...args: string[]): FoundLatents {
  const key = args.join(" ");
  const known = asked.get(key) ?? (JSON.parse(find(...args, "--json").out) as FoundLatents);
  asked.set(key, known);
  return known;
}

test("the demo's latents of compass directions are found, and the table says so", () => {
  const path = join(repoRoot, "demo/saes/resid2-6144/labels.json");
  const labels = JSON.parse(readFileSync(path, "utf8")) as Record<string, { label: string }>;
  const all = found(first, second, "--pool", "max");
  expect(all).toMatchObject({
    sae: "resid2-6144",
    positives: 32,
    heldNegatives: 16,
    baseline: { auc: 1 },
  });
  const compass = all.latents.find(({ latent }) =>
    labels[latent]?.label.startsWith("compass direction, lower"),
  );
  expect(compass).toMatchObject({
    set: "positive",
    auc: 1,
    f1: 1,
    positiveShare: 1,
    negativeShare: 0,
  });
  expect(all.latents.indexOf(compass!)).toBeLessThan(5);
  // The other way round the sets change places, and nothing else of the best.
  const turned = found(second, first);
  const same = turned.latents.find(({ latent }) => latent === compass!.latent);
  expect(same).toMatchObject({ set: "negative", auc: 1, negativeShare: 1, positiveShare: 0 });
  expect(same!.negativeMean).toBeCloseTo(compass!.positiveMean, 4);
  const mean = found(first, second, "--pool", "mean");
  const pooled = mean.latents.find(({ latent }) => latent === compass!.latent);
  expect(pooled!.positiveMean).toBeLessThan(compass!.positiveMean / 2);
  expect(find(first, second).out).toMatch(/#\d+\s+first\s+1\.000 .*compass direction, lower case/);
}, 60_000);

test("an example's figure is the largest or the mean of what `inspect` says of its tokens", () => {
  const options = ["--contexts", "lines", "--top", "200", "--json"];
  const cli = join(repoRoot, "dist/cli.js");
  const { stdout } = spawnSync(process.execPath, [cli, "inspect", first, ...options], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  const { tokens } = JSON.parse(stdout) as Inspection;
  for (const pool of ["max", "mean"]) {
    const { latents } = found(first, second, "--pool", pool);
    for (const { latent, positiveMean } of latents.slice(0, 8)) {
      const byLine = Array.from({ length: 32 }, (): number[] => []);
      const starts = new Set<number>();
      for (const { context, saes, inserted } of tokens) {
        // Position 0: the line's first token, or the BOS before it.
        if (!starts.has(context) || inserted) {
          starts.add(context);
          continue;
        }
        const [sae] = Object.values(saes);
        byLine[context]!.push(sae!.top.find((it) => it.latent === latent)?.activation ?? 0);
      }
      const pooled = byLine.map((acts) =>
        pool === "max" ? Math.max(...acts) : acts.reduce((a, b) => a + b) / acts.length,
      );
      const wanted = pooled.reduce((a, b) => a + b) / 32;
      expect(Math.abs(positiveMean - wanted)).toBeLessThan(1e-4 * Math.max(1, wanted));
    }
  }
}, 60_000);

test("too few examples, and files that are not there, are said", () => {
  expect(find(first, few).err).toContain("there are 32 and 3 examples: each set needs 4");
  expect(find(first, join(scratch, "gone.txt")).code).toBe(1);
}, 60_000);
