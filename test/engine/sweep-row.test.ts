// What a sweep keeps of reports: bins of word frequency, and how an SAE was trained.
import { expect, test } from "vitest";
import { frequencyBins } from "../../server/engine/absorption/sweep-row.ts";
import type { LabelReport, WordReport } from "../../server/protocol/absorption.ts";
import { loadSae } from "../../server/sae/load.ts";
import { toyFolder } from "../analysis/toy-saes.ts";

test("words fall into decades of occurrences per million tokens, and labels without latents are left out", () => {
  type Label = Pick<LabelReport, "probeCounts" | "hasMainLatents" | "words">;
  const labels: Label[] = [
    {
      probeCounts: true,
      hasMainLatents: true,
      words: [word(" the", true), word(" cat", false), word(" cot", true), word(" qua", false)],
    },
    { probeCounts: true, hasMainLatents: false, words: [word(" zoo", true)] },
    { probeCounts: false, hasMainLatents: true, words: [word(" yes", true)] },
  ];
  const counts = new Map([
    [" the", 60_000],
    [" cat", 20],
    [" cot", 199],
    [" zoo", 1],
  ]);
  expect(frequencyBins(labels, { counts, tokens: 2_000_000 })).toEqual([
    { from: 0, below: 0, words: 1, fullRate: 0, meanFraction: 0.25 },
    { from: 10, below: 100, words: 2, fullRate: 0.5, meanFraction: 0.625 },
    { from: 10_000, below: null, words: 1, fullRate: 1, meanFraction: 1 },
  ]);
});

test.each([
  [{ tied: false, adversary: null, endToEnd: null, attribution: null }, undefined],
  [{ tied: true }, "tied"],
  [{ endToEnd: { kl: 1 }, adversary: { coefficient: 1 } }, "end-to-end, adversarial"],
  [{ attribution: { coefficient: 1 } }, "attribution-sparse"],
])("objectives of a training: %j", async (details, wanted) => {
  const metadata = { training_architecture_details: details };
  const { config } = await loadSae(toyFolder({ W_dec: [[1, 0]] }, { metadata }));
  expect(config.declared["trained_with"]).toBe(wanted);
});

function word(text: string, isFull: boolean): WordReport {
  return {
    word: text,
    projection: 1,
    mainProjection: 0,
    mainFires: !isFull,
    fraction: isFull ? 1 : 0.25,
    isFull,
    isPartial: false,
    strongest: [],
  };
}
