import { expect, test } from "vitest";
import { levelsAdvice, repairSentence } from "../../server/protocol/decompositions.ts";
import { DecompositionsModel } from "../../webviews/decompositions/decompositions-model.ts";

const level = { latents: 1024, l0: 10, fvu: 0.1 };
const scores = (precision: number, recall: number, f1: number) => ({ precision, recall, f1 });
const label = { label: "f", main: [1], parts: [{ absorber: 5, part: 7, cosine: 0.4 }] };
const before = scores(1, 0.8, 0.89);

test("of levels as good within a hundredth the shortest is advised; none where no level knows the labels", () => {
  const levels = [
    { ...level, sae: "wide", bits: 180, f1: [0.95] },
    { ...level, sae: "wide", meta: "m2", through: ["m"], bits: 90, f1: [0.941] },
    { ...level, sae: "narrow", bits: 60, f1: [0.93] },
  ];
  expect(levelsAdvice(levels)).toMatch(/^for this task: m2 of m of wide \(.*F1 0\.941/);
  expect(levelsAdvice([{ ...level, sae: "wide", bits: 180, f1: [0.4] }])).toMatch(
    /^no level has latents of its own .*of wide, reach F1 0\.400/,
  );
});

test("repair helps only where F1 rises above what it was and above shuffled breakdowns", () => {
  const after = scores(0.95, 0.95, 0.95);
  const low = { ...label, before, after, control: scores(0.5, 0.9, 0.64) };
  expect(repairSentence([low])).toMatch(
    /^repair helps: over 1 label with absorbers mean F1 0\.890 → 0\.950 \(recall 0\.800 → 0\.950, precision 1\.000 → 0\.950\); breakdowns dealt out at random reach F1 0\.640/,
  );
  expect(repairSentence([{ ...low, control: after }])).toMatch(/^repair does not help/);
  expect(repairSentence([{ ...low, after: before }])).toMatch(/^repair does not help/);
  const noPart = { ...low, parts: [{ absorber: 5, part: undefined, cosine: 0 }] };
  expect(repairSentence([noPart])).toMatch(/^repair cannot help/);
  expect(repairSentence([{ ...low, parts: [] }])).toMatch(/^nothing to repair/);
});

test("what is ticked is sent in the order of the list; texts in running text alone; cancelling leaves no problem", async () => {
  const asked: unknown[] = [];
  const candidates = ["a", "b", "m"].map((id) => ({
    id,
    path: `/${id}`,
    detail: "",
    chosen: id !== "a",
  }));
  const host = {
    call: (method: string, params: unknown, signal?: AbortSignal): Promise<unknown> => {
      if (method === "start") return Promise.resolve({ uri: "u" });
      if (method === "pickTexts") return Promise.resolve(["/x.txt"]);
      if (method === "decompositionChoices")
        return Promise.resolve({ lm: "demo", candidates, tasks: [{ name: "t", labels: "t" }] });
      asked.push([method, params]);
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error));
      });
    },
  } as unknown as ConstructorParameters<typeof DecompositionsModel>[0];
  const model = new DecompositionsModel(host, () => undefined);
  await model.start();
  model.toggle("/a");
  model.toggle("/b");
  await model.pickTexts();
  model.change({ sae: "/a", meta: "/m" });
  for (const work of [() => model.compare(), () => model.repair()]) {
    const done = work();
    expect(model.state.working).toBeDefined();
    model.change({ setting: "text" });
    model.cancel();
    await done;
    expect(model.state).toMatchObject({ working: undefined, problem: undefined });
  }
  const task = { uri: "u", labels: "t" };
  expect(asked).toEqual([
    ["compareLevels", { ...task, setting: "prompts", paths: ["/a", "/m"] }],
    ["tryRepair", { ...task, setting: "text", texts: ["/x.txt"], sae: "/a", meta: "/m" }],
  ]);
});
