// Verdicts at tokens, on a task made by hand: every verdict with its reason, and the time it takes at 9,216 latents.
import { expect, test } from "vitest";
import {
  type JudgedRows,
  judgeTokens,
  type PreparedTask,
} from "../../server/analysis/absorption/live.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";

const d = 4;
/** Latent 0 is the main one; 1 has cosine 0.6 with the probe, 2 none, 3 cosine 0.3. */
const cosines = Float32Array.of(1, 0.6, 0, 0.3, 0, 0, 0, 0);
const suffix = Int32Array.of(90, 91);
const task: PreparedTask = {
  task: "first-letter",
  setting: "prompts",
  probe: {
    kind: "one-vs-rest",
    nLabels: 2,
    d,
    weights: Float32Array.of(2, 0, 0, 0, 0, 2, 0, 0),
    biases: Float32Array.of(-1, -1),
  },
  labels: [
    { label: "s", probeF1: 0.99, mainF1: 0.9, main: [0] },
    { label: "t", probeF1: 0.99, mainF1: 0.4, main: [4] },
  ],
  labelsOfToken: new Map([
    [7, [0]],
    [8, [1]],
  ]),
  suffix,
  cosines: [cosines, cosines],
  encoders: new Map([
    [0, { latent: 0, direction: Float32Array.of(1, 0, 0, 0), bias: -3, threshold: 0.8 }],
  ]),
};

/** One word at token 1 with the prompt's words behind it. */
function rows(
  x: readonly number[],
  active: readonly (readonly [latent: number, act: number])[],
  { id = 7, text = " stone", asked = true } = {},
): JudgedRows {
  return {
    ids: Int32Array.of(1, id, ...(asked ? suffix : [5, 6])),
    texts: ["\n", text, " has", ":"],
    x: Float32Array.of(0, 0, 0, 0, ...x, 0, 0, 0, 0, 0, 0, 0, 0),
    active: () => ({
      latents: active.map(([latent]) => latent),
      acts: active.map(([, act]) => act),
    }),
  };
}

const strong = [2, 0, 0, 0];

test.each([
  ["the main latent fires", rows(strong, [[0, 1.5]]), { verdict: "fires", isPartial: false }],
  [
    "it fires weakly beside an absorber",
    rows(strong, [
      [0, 0.5],
      [1, 2],
    ]),
    { verdict: "fires", isPartial: true },
  ],
  ["another latent took over", rows(strong, [[1, 2]]), { verdict: "absorbed", fraction: 1 }],
  [
    "silent, and nobody carries enough",
    rows(strong, [[3, 1]]),
    { verdict: "not-judged", reason: "no-absorber" },
  ],
  [
    "the probe is unsure",
    rows([0.2, 0, 0, 0], [[1, 2]]),
    { verdict: "not-judged", reason: "probe-unsure" },
  ],
  [
    "the label's latents are no good",
    rows([0, 2, 0, 0], [[1, 2]], { id: 8, text: " tree" }),
    { verdict: "no-latent", label: "t" },
  ],
])("%s", (_, found, wanted) => {
  expect(judgeTokens([task], found)).toMatchObject([{ ...wanted, token: 1 }]);
});

test("a piece of a word is not judged where a prompt asks about it", () => {
  const split = rows(strong, [[0, 2]], { text: "one" });
  const [verdict] = judgeTokens([task], { ...split, texts: ["bl", "one", " has", ":"] });
  expect(verdict).toMatchObject({ verdict: "not-judged", reason: "several-tokens" });
});

test("figures: pre-activation from the latent's own encoder, its threshold, who carries how much", () => {
  const [verdict] = judgeTokens([task], rows(strong, [[1, 2]]));
  expect(verdict!.main).toEqual([{ latent: 0, activation: 0, preActivation: -1, threshold: 0.8 }]);
  expect(verdict!.projection).toBeCloseTo(2, 6);
  expect(verdict!.strongest![0]!.projection).toBeCloseTo(1.2, 6);
});

test("tasks in prompts say nothing elsewhere, tasks in text nothing in prompts", () => {
  expect(judgeTokens([task], rows(strong, [[0, 2]], { asked: false }))).toEqual([]);
  const inText: PreparedTask = { ...task, setting: "text" };
  expect(judgeTokens([inText], rows(strong, [[0, 2]], { asked: false }))).toHaveLength(1);
  const both = judgeTokens([task, inText], rows(strong, [[0, 2]]));
  expect(both.map((it) => it.setting)).toEqual(["prompts"]);
});

test("one word at 9,216 latents and 26 labels takes less than 3 ms", () => {
  const random = new SeededRandom(1);
  const [wide, width, nLabels, nActive] = [9216, 576, 26, 64];
  const draw = (length: number): Float32Array =>
    Float32Array.from({ length }, () => random.normal());
  const big: PreparedTask = {
    ...task,
    probe: {
      kind: "multinomial",
      nLabels,
      d: width,
      weights: draw(nLabels * width),
      biases: draw(nLabels),
    },
    labels: Array.from({ length: nLabels }, (_, label) => ({
      label: String(label),
      probeF1: 1,
      mainF1: 1,
      main: [label, 100 + label, 200 + label],
    })),
    cosines: Array.from({ length: nLabels }, () => draw(wide)),
    encoders: new Map(
      Array.from({ length: 300 }, (_, latent) => [
        latent,
        { latent, direction: draw(width), bias: 0, threshold: 1 },
      ]),
    ),
  };
  const words = 50;
  const latents = Int32Array.from({ length: nActive }, (_, at) => 140 * at);
  const acts = draw(nActive).map(Math.abs);
  const many: JudgedRows = {
    ids: Int32Array.from({ length: 3 * words }, (_, at) => [7, 90, 91][at % 3]!),
    texts: Array.from({ length: 3 * words }, (_, at) => [" stone", " has", ":"][at % 3]!),
    x: draw(3 * words * width),
    active: () => ({ latents, acts }),
  };
  const times = Array.from({ length: 9 }, () => {
    const started = performance.now();
    const found = judgeTokens([big], many);
    expect(found).toHaveLength(words - 1);
    return (performance.now() - started) / words;
  });
  const median = times.toSorted((a, b) => a - b)[4]!;
  console.log(`judging a word: ${median.toFixed(3)} ms`);
  expect(median).toBeLessThan(3);
});
