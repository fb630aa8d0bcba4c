import { expect, test } from "vitest";
import type { CausalLabel, CausalWord } from "../../server/protocol/causal-absorption.ts";
import { byVerdict, CausalModel, stepsOf } from "../../webviews/absorption/causal-model.ts";
import { decimal } from "../../webviews/decoders/decimal.ts";

const top = { latent: 5982, activation: 143, cosine: 0.42, score: -4.7 };
const word: CausalWord = {
  word: " for",
  prompt: "",
  sparseScore: -1,
  value: 11,
  verdict: "absorbed",
  mainActivation: 0,
  mainScore: 0,
  top,
  secondScore: -0.1,
  margin: 4.6,
  isSilent: true,
  lowers: true,
  standsOut: true,
  isAligned: true,
  mainCounts: false,
  topEffect: -5,
  strongest: [top],
  byProjection: { isFull: true, isPartial: false, fraction: 1, absorber: 5982 },
};
const thresholds = { margin: 1, cosine: 0.025, partialMainEffect: 0.1 };

test("the steps of a word: five where main latents are silent, one more for absorption in part", () => {
  const steps = stepsOf(word, thresholds, decimal);
  expect(steps.map((it) => it.passes)).toEqual([true, true, true, true, true]);
  expect(steps[3]!.text).toBe("it stands out: 4.60 before the next, at least 1");
  const weak = { ...word, isSilent: false, mainActivation: 40, mainScore: -0.05 };
  const partial = stepsOf(weak, thresholds, decimal);
  expect(partial.map((it) => it.passes)).toEqual([true, false, false, true, true, true]);
  expect(partial[2]!.text).toContain("at most −0.1 (−0.05)");
  expect(partial[3]!.text).toContain("besides the main ones");
  const none = stepsOf({ ...word, top: null, lowers: false }, thresholds, decimal);
  expect(none[4]!.text).toContain("cosine –");
});

test("minus signs are as long as plus signs, and what is rounded to 0 has none", () => {
  expect([-1.25, 0, -0.001, 3].map((it) => decimal(it, 2))).toEqual([
    "−1.25",
    "0.00",
    "0.00",
    "3.00",
  ]);
});

test("absorbed words come first, then those in part, then by margin", () => {
  const words = [
    { ...word, word: "no", verdict: "none", margin: 9 },
    { ...word, word: "part", verdict: "partial", margin: 1 },
    { ...word, word: "less", margin: 2 },
    word,
  ] as const;
  expect(byVerdict(words).map((it) => it.word)).toEqual([" for", "less", "part", "no"]);
});

test("asks about what was measured; a new measurement ends it and forgets the answer; cancelling is no problem", async () => {
  const asked: unknown[] = [];
  const label = { label: "f", words: [word] } as unknown as CausalLabel;
  let isSlow = false;
  const host = {
    call: (method: string, params: unknown, signal?: AbortSignal): Promise<unknown> => {
      if (method !== "causalAbsorption") return Promise.resolve({ share: 0, text: "" });
      asked.push(params);
      if (!isSlow) return Promise.resolve({ report: { labels: [label] }, names: {} });
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error));
      });
    },
  } as unknown as ConstructorParameters<typeof CausalModel>[0];
  const model = new CausalModel(host, () => undefined);
  await model.judge();
  expect(asked).toEqual([]);
  model.about({ uri: "u", sae: "k2", labels: "first-letter", setting: "prompts" });
  model.chooseLabel("f");
  expect(model.state.label).toBeUndefined();
  for (const words of [0, 2.5, Number.NaN, 5]) model.setWords(words);
  await model.judge();
  expect(asked).toEqual([{ uri: "u", sae: "k2", labels: "first-letter", words: 5 }]);
  expect(model.state).toMatchObject({ label: { label: "f" }, word: { word: " for" } });
  model.chooseLabel("q");
  expect(model.state.label).toBeUndefined();
  model.setWords(5000);
  expect(model.state.words).toBe(200);
  isSlow = true;
  const judged = model.judge();
  expect(model.state.progress).toBeDefined();
  model.cancel();
  await judged;
  expect(model.state).toMatchObject({ progress: undefined, problem: undefined });
  const again = model.judge();
  model.about({ sae: "other", labels: "first-letter", setting: "text" });
  await again;
  expect(model.state).toMatchObject({ found: undefined, progress: undefined, problem: undefined });
});
