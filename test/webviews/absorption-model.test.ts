import { expect, test } from "vitest";
import type { WordReport } from "../../server/protocol/absorption.ts";
import { PlacesModel, wordAt } from "../../webviews/absorption/places-model.ts";
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

const place = {
  uri: "file:///a.txt",
  name: "a.txt",
  line: 3,
  startOffset: 40,
  endOffset: 44,
  text: " for",
  before: "",
  after: "",
  verdict: {
    token: 9,
    task: "first-letter",
    setting: "prompts",
    label: "f",
    verdict: "absorbed",
    projection: 10,
    mainProjection: 0.5,
    fraction: 0.7,
    main: [{ latent: 1527, activation: 0 }],
    strongest: [share(5982, 7)],
  },
} as const;

test("a place's word splits as words of the report do; a word that was not judged has nothing to split", () => {
  expect(wordAt(place)).toEqual({
    word: " for",
    projection: 10,
    mainProjection: 0.5,
    mainFires: false,
    fraction: 0.7,
    isFull: true,
    isPartial: false,
    strongest: [share(5982, 7)],
  });
  const { token, task, setting } = place.verdict;
  const verdict = { token, task, setting, verdict: "not-judged" } as const;
  expect(wordAt({ ...place, verdict })).toBeUndefined();
});

test("a case from a text is shown beside its task's figures where these are kept, and alone where they are not", async () => {
  const report = { labels: [{ label: "f", main: [], words: [base], absorbers: [] }] };
  for (const question of [{ labels: "mine", setting: "prompts" }, undefined]) {
    const asked: string[] = [];
    const answers: Record<string, unknown> = {
      start: { uri: place.uri, absorbed: { ...place.verdict, ...place, sae: "k2" } },
      absorptionChoices: { lm: "demo", saes: [{ id: "k2" }], tasks: [{ name: "x", labels: "x" }] },
      measuredAs: question ? { question } : {},
      measureAbsorption: { report, names: {} },
      occurrences: { places: [place], total: 1, files: 1, leftOut: [], names: {} },
    };
    const host = {
      call: (method: string): Promise<unknown> => {
        asked.push(method);
        return Promise.resolve(answers[method] ?? {});
      },
    } as unknown as ConstructorParameters<typeof AbsorptionModel>[0];
    const model = new AbsorptionModel(host, () => undefined);
    await model.start();
    expect(asked.includes("measureAbsorption")).toBe(question !== undefined);
    expect(model.state.label?.label).toBe(question && "f");
    expect(model.places.state).toMatchObject({ chosen: place, problem: undefined });
    // The user comes from there.
    expect(asked).not.toContain("reveal");
  }
});

test("of two searches the later one's places are shown; a case that is gone is said to be", async () => {
  const answers: ((found: unknown) => void)[] = [];
  const host = {
    call: (method: string): Promise<unknown> =>
      method === "occurrences"
        ? new Promise((resolve) => answers.push(resolve))
        : Promise.resolve({}),
  } as unknown as ConstructorParameters<typeof PlacesModel>[0];
  const model = new PlacesModel(host, () => undefined);
  const sought = { kind: "latent", latent: 1 } as const;
  const searches = [1, 2].map((it) => model.find(`#${it}`, sought, { sae: "k2" }));
  const found = { total: 1, files: 1, leftOut: [], names: {} };
  answers[1]?.({ ...found, places: [place] });
  answers[0]?.({ ...found, places: [] });
  await Promise.all(searches);
  expect(model.state).toMatchObject({
    title: "#2",
    found: { places: [place] },
    progress: undefined,
  });
  model.choose({ ...place.verdict, uri: place.uri, startOffset: 7, sae: "k2" });
  expect(model.state.problem).toMatch(/not there any more/);
});
