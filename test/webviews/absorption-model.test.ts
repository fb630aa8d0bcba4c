import { expect, test } from "vitest";
import type { WordReport } from "../../server/protocol/absorption.ts";
import {
  AbsorptionModel,
  byAbsorption,
  partsOf,
} from "../../webviews/absorption/absorption-model.ts";

const share = (latent: number, projection: number) => ({
  latent,
  activation: 2 * projection,
  cosine: 0.5,
  projection,
});
const base: WordReport = {
  word: "for",
  projection: 10,
  mainProjection: 0,
  mainFires: false,
  fraction: 0.7,
  isFull: true,
  isPartial: false,
  strongest: [share(5982, 7), share(4, 2), share(9, -1)],
};
const amount = (part: ReturnType<typeof partsOf>[number]): number =>
  part.kind === "latent" ? part.share.projection : part.projection;

test("parts add up to the projection: silent main latents count 0, others besides those listed count", () => {
  const silent = partsOf(base, new Set([1527]));
  expect(silent.map(amount)).toEqual([7, 2, -1, 0, 2]);
  expect(silent[3]).toMatchObject({ kind: "main", isAll: true });
  const two = partsOf({ ...base, mainProjection: 3.5 }, new Set([4, 1527]));
  expect(two.map(amount)).toEqual([7, 2, -1, 1.5, 0.5]);
  expect(two[3]).toMatchObject({ kind: "main", isAll: false });
  expect(two[1]).toMatchObject({ isMain: true });
  const listed = partsOf({ ...base, mainProjection: 7 + 1e-9 }, new Set([5982]));
  expect(listed.map((it) => it.kind)).toEqual(["latent", "latent", "latent", "rest"]);
  expect(listed.reduce((sum, it) => sum + amount(it), 0)).toBe(10);
});

test("fully absorbed words come first, then partly absorbed ones, then by fraction", () => {
  const words = [
    { ...base, word: "fires", isFull: false, fraction: 0 },
    { ...base, word: "half", isFull: false, isPartial: true, fraction: 0.9 },
    { ...base, word: "less", fraction: 0.5 },
    base,
  ];
  expect(byAbsorption(words).map((it) => it.word)).toEqual(["for", "less", "half", "fires"]);
});

test("the bundled sample is meant by no texts, texts are sent in running text alone; cancelling leaves no problem", async () => {
  const asked: unknown[] = [];
  const host = {
    call: (method: string, params: unknown, signal?: AbortSignal): Promise<unknown> => {
      if (method === "start") return Promise.resolve({ uri: "u" });
      if (method === "pickTexts") return Promise.resolve(["/a.txt"]);
      if (method === "absorptionChoices")
        return Promise.resolve({
          lm: "demo",
          saes: [{ id: "k2", detail: "" }],
          tasks: [{ name: "first-letter", labels: "first-letter", detail: "" }],
        });
      asked.push(params);
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error));
      });
    },
  } as unknown as ConstructorParameters<typeof AbsorptionModel>[0];
  const model = new AbsorptionModel(host, () => undefined);
  await model.start();
  await model.pickTexts();
  const question = { uri: "u", sae: "k2", labels: "first-letter" };
  for (const setting of ["prompts", "text"] as const) {
    model.change({ setting });
    const measured = model.measure();
    expect(model.state.progress).toBeDefined();
    model.cancel();
    await measured;
    expect(model.state).toMatchObject({ progress: undefined, problem: undefined });
  }
  expect(asked).toEqual([
    { ...question, setting: "prompts" },
    { ...question, setting: "text", texts: ["/a.txt"] },
  ]);
});
