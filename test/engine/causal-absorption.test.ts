// The causal absorption rule: against torch on tiny models, and where absorption was planted.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { attribute } from "../../server/analysis/attribution/attribute.ts";
import { cosinesWith } from "../../server/analysis/absorption/projection-rule.ts";
import {
  causalRule,
  causalVerdict,
  type ScoredLatent,
} from "../../server/analysis/absorption/causal-rule.ts";
import { dot } from "../../server/analysis/probes/linear-probe.ts";
import { saeSite, type SaeSite } from "../../server/analysis/sae-site.ts";
import { answerMetric } from "../../server/analysis/tasks/answer-metric.ts";
import type { WordPrompt } from "../../server/analysis/tasks/word-prompts.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import {
  judgeControl,
  judgeWord,
  mainActivation,
  type WordJudge,
} from "../../server/engine/absorption/judge-word.ts";
import type { LmGradients } from "../../server/lm/gradients.ts";
import { Stream } from "../../server/lm/stream.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { openTinyCase, type TinyCase } from "../analysis/tiny-case.ts";
import { normal, toySae, unit } from "../analysis/toy-saes.ts";
import { testDevice } from "../lm/closeness.ts";
import { repoRoot } from "../parts.ts";
import { seeded } from "../random.ts";

const device = testDevice();
const open: { release(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.release();
});

async function opened(name: string): Promise<TinyCase> {
  const one = await openTinyCase(name, device);
  open.push(one);
  return one;
}

/** A prompt of bare ids, with the word's position. */
function promptOf(ids: Int32Array, word: number): WordPrompt {
  const id = ids[word]!;
  const wholeIds = ids.slice();
  return {
    word: { id, text: `w${id}`, labels: [1] },
    text: "",
    wholeIds,
    ids: ids.slice(0, word + 1),
  };
}

/** The difference of logits behind a prompt, made larger: a random model is sure of nothing. */
function metricOf(ids: Int32Array, answers: readonly number[], label: number, gain: number) {
  const metric = answerMetric(ids.length - 1, answers, { label, labels: [label] });
  if (metric.kind !== "logits") throw new Error("a logit difference is made of logits");
  return { ...metric, terms: metric.terms.map((it) => ({ ...it, weight: gain * it.weight })) };
}

interface Golden {
  length: number;
  answers: number[];
  label: number;
  gain: number;
  cases: {
    lm: string;
    word: number;
    probe: number[];
    value: number;
    latents: {
      latent: number;
      activation: number;
      cosine: number;
      score: number;
      change: number;
    }[];
    rule: { main: number[]; isAbsorption: boolean }[];
  }[];
}
const golden = JSON.parse(
  readFileSync(join(repoRoot, "test/golden/absorption/causal.json"), "utf8"),
) as Golden;

function judgeOf(
  { gradients, site }: { gradients: LmGradients; site: SaeSite },
  { main, direction, pool = [] }: { main: number[]; direction: Float32Array; pool?: number[] },
): WordJudge {
  const { d_sae } = site.sae.config;
  const rows = site.sae.decoderRows(Array.from({ length: d_sae }, (_, latent) => latent));
  const cosines = cosinesWith(rows, direction);
  return { gradients, site, main, cosines, direction, pool };
}

describe.each(["gpt2", "llama", "gemma2"])("%s against torch", (name) => {
  test("scores, effects of removal and verdicts of every word", async () => {
    const one = await opened(name);
    const { answers, label, gain, length } = golden;
    const ids = one.ids.slice(0, length);
    const metric = metricOf(ids, answers, label, gain);
    const cases = golden.cases.filter((it) => it.lm === name);
    expect(cases).toHaveLength(6);
    for (const { word, probe, value, latents, rule } of cases) {
      const prompt = promptOf(ids, word);
      const rms = Math.sqrt(latents.reduce((sum, it) => sum + it.score ** 2, 0) / latents.length);
      for (const { main, isAbsorption } of rule) {
        const judge = judgeOf(one, { main, direction: Float32Array.from(probe) });
        const random = new SeededRandom(0);
        const found = (await judgeWord(judge, prompt, { metric, sparseScore: -1, random })).word;
        expect(found.verdict === "absorbed").toBe(isAbsorption);
        expect(found.value).toBeCloseTo(value, 3);
        const wanted = latents.toSorted((a, b) => a.score - b.score).slice(0, causalRule.top);
        expect(found.strongest.map((it) => it.latent)).toEqual(wanted.map((it) => it.latent));
        for (const [at, it] of found.strongest.entries()) {
          expect(Math.abs(it.score - wanted[at]!.score) / rms).toBeLessThan(1e-4);
          expect(it.cosine).toBeCloseTo(wanted[at]!.cosine, 5);
          expect(it.activation).toBeCloseTo(wanted[at]!.activation, 4);
        }
        if (found.top) {
          const { change } = latents.find((it) => it.latent === found.top!.latent)!;
          // A removal is a difference of two numbers of the metric's size.
          expect(Math.abs(found.topEffect! - change)).toBeLessThan(1e-4 * Math.max(gain, rms));
        }
      }
    }
  });
});

test("the goldens hold words that are absorbed and words that fail at each step", () => {
  const seen = golden.cases.flatMap(({ latents, rule }) =>
    rule.map(({ main, isAbsorption }) => {
      const { verdict, steps } = causalVerdict(latents, main);
      expect(verdict === "absorbed").toBe(isAbsorption);
      return { verdict, ...steps };
    }),
  );
  expect(seen.some((it) => it.verdict === "absorbed")).toBe(true);
  expect(seen.some((it) => !it.isSilent)).toBe(true);
  expect(seen.some((it) => it.isSilent && !it.standsOut)).toBe(true);
  expect(seen.some((it) => it.isSilent && it.standsOut && !it.isAligned)).toBe(true);
});

function latent(n: number, score: number, cosine = 0.3, activation = 1): ScoredLatent {
  return { latent: n, score, cosine, activation };
}

/** The verdict where #9 is the main latent. */
function of(...active: ScoredLatent[]): ReturnType<typeof causalVerdict> {
  return causalVerdict(active, [9]);
}

test("each step of the rule by itself, at its limits", () => {
  expect(of(latent(1, -1))).toMatchObject({ verdict: "absorbed", steps: { margin: 1 } });
  expect(of(latent(1, -0.999)).verdict).toBe("none");
  expect(of(latent(1, -3), latent(2, -2.5)).steps).toMatchObject({ margin: 0.5, standsOut: false });
  // A latent that harms the task stands behind all that are not active.
  expect(of(latent(1, -1.5), latent(2, 5)).steps).toMatchObject({ secondScore: 0, margin: 1.5 });
  expect(of(latent(1, -3, 0.0249)).verdict).toBe("none");
  expect(of(latent(1, -3, 0.025)).verdict).toBe("absorbed");
  expect(of(latent(1, 2)).steps).toMatchObject({ lowers: false, margin: 0 });
  expect(of().verdict).toBe("none");
  // Main latents fire: partial where one of them counts, and nothing where the main latent does not.
  expect(of(latent(9, -0.1), latent(1, -1.5)).verdict).toBe("partial");
  expect(of(latent(9, -8), latent(1, -1.5)).steps).toMatchObject({
    top: { latent: 1 },
    margin: 1.5,
  });
  expect(of(latent(9, -0.09), latent(1, -1.5)).verdict).toBe("none");
  expect(of(latent(9, -0.5, 0), latent(1, -1.5)).verdict).toBe("none");
  expect(of(latent(9, -0.5), latent(1, -0.5)).verdict).toBe("none");
});

/** What is planted: words by what their latents do. */
const [nMain, nNone] = [5, 2];
const roles = [
  ...Array.from({ length: nMain }, () => "main" as const),
  "absorbed" as const,
  "absorbed" as const,
  "partial" as const,
  ...Array.from({ length: nNone }, () => "none" as const),
];
const [main, absorber, nRandom] = [0, 1, 6];

test("absorption is found where it was planted and nowhere else; random latents do nothing", async () => {
  const one = await opened("gpt2");
  const { lm } = one.gradients;
  const [word, length, gain] = [5, 10, 1000];
  const answers = [5, 7, 11, 13, 17];
  const random = seeded(4);
  // Prompts that differ in the word alone, as a task's do.
  const frame = Array.from({ length }, () => Math.floor(random() * lm.config.d_vocab));
  const prompts = roles.map((_, at) => {
    const ids = Int32Array.from(frame);
    ids[word] = 20 + 3 * at;
    return promptOf(ids, word);
  });
  const metric = metricOf(prompts[0]!.wholeIds, answers, 1, gain);
  const rows: Float32Array[] = [];
  const slopes: Float32Array[] = [];
  for (const { wholeIds } of prompts) {
    const stream = new Stream(lm);
    stream.setIds(wholeIds);
    const read = await stream.read([one.site.sae.config.hook].map((hook) => lm.hook(hook)));
    const x = [...read.values()][0]!.data as Float32Array;
    const d = x.length / length;
    rows.push(x.slice(word * d, (word + 1) * d));
    stream.dispose();
    const how = { ids: wholeIds, metric, positions: [word], method: "gradient", steps: 1 } as const;
    slopes.push((await attribute(one.gradients, one.site, how)).gradient);
  }
  const d = rows[0]!.length;
  const mean = Array.from({ length: d }, (_, i) => slopes.reduce((sum, it) => sum + it[i]!, 0));
  const direction = unit(mean);
  const free = (): number[] =>
    unit(
      without(
        Array.from({ length: d }, () => normal(random)),
        slopes,
      ),
    );
  const W_dec = [
    direction,
    unit(direction.map((x, i) => x + 0.5 * free()[i]!)),
    ...Array.from({ length: nRandom }, free),
  ];
  // What each latent is to be at each word; encoders are solved for it.
  const [strong, weak] = [1, 0.3];
  const acts = W_dec.map((_, latent) =>
    roles.map((role) => {
      if (latent >= 2) return strong * (0.9 + 0.2 * random());
      if (latent === main) return role === "main" ? strong : role === "partial" ? weak : 0;
      return role === "absorbed" ? strong : role === "partial" ? 0.8 * strong : 0;
    }),
  );
  // The way of integrated gradients ends at what the SAE writes without latents: near the mean word, not at the zero vector.
  const b_dec = Array.from({ length: d }, (_, i) =>
    rows.reduce((sum, row) => sum + (0.9 * row[i]!) / rows.length, 0),
  );
  const centred = rows.map((row) => row.map((x, i) => x - b_dec[i]!));
  const encoders = acts.map((wanted) => solved(centred, wanted));
  const W_enc = new Float32Array(d * W_dec.length);
  for (const [latent, encoder] of encoders.entries())
    for (const [i, x] of encoder.entries()) W_enc[i * W_dec.length + latent] = x;
  const sae = await toySae(
    device,
    {
      W_dec,
      b_dec,
      W_enc: tensor("float32", [d, W_dec.length], W_enc),
      threshold: W_dec.map(() => 0.1),
    },
    { metadata: { hook_name: one.site.sae.config.hook } },
  );
  open.push(sae);
  const site = saeSite(sae, lm.hook(sae.config.hook));
  const pool = Array.from({ length: nRandom }, (_, i) => 2 + i);
  const judge = judgeOf(
    { gradients: one.gradients, site },
    { main: [main], direction: Float32Array.from(direction), pool },
  );
  const removals: { kind: string; effect: number }[] = [];
  for (const [at, role] of roles.entries()) {
    const prompt = prompts[at]!;
    const draw = new SeededRandom(at);
    if (role === "main") {
      removals.push(...(await judgeControl(judge, prompt, { metric, random: draw })));
      continue;
    }
    const isSilent = (await mainActivation(judge, prompt)) < causalRule.silent;
    expect(isSilent).toBe(role !== "partial");
    const found = await judgeWord(judge, prompt, { metric, sparseScore: -1, random: draw });
    expect(found.word.verdict, `word ${at}`).toBe(role);
    if (role !== "none") expect(found.word.top!.latent).toBe(absorber);
    removals.push(...found.removals);
  }
  const mean_ = (kind: string): number => {
    const of = removals.filter((it) => it.kind === kind).map((it) => it.effect);
    expect(of.length, kind).toBeGreaterThan(0);
    return of.reduce((sum, it) => sum + it, 0) / of.length;
  };
  console.log(
    ["main", "main-weak", "absorber-causal", "other-active", "random"]
      .map((kind) => `${kind} ${mean_(kind).toFixed(3)}`)
      .join(", "),
  );
  expect(mean_("main")).toBeLessThan(-causalRule.margin);
  expect(mean_("main-weak")).toBeLessThan(-0.1);
  expect(mean_("absorber-causal")).toBeLessThan(-causalRule.margin);
  for (const kind of ["other-active", "random"])
    expect(Math.abs(mean_(kind)), kind).toBeLessThan(0.05 * Math.abs(mean_("absorber-causal")));
});

/** A vector without its parts along others. */
function without(vector: readonly number[], others: readonly Float32Array[]): number[] {
  const basis: number[][] = [];
  for (const other of others) {
    const rest = minus(Array.from(other), basis);
    const norm = Math.hypot(...rest);
    if (norm > 1e-6 * Math.hypot(...other)) basis.push(rest.map((x) => x / norm));
  }
  return minus([...vector], basis);
}

function minus(vector: number[], basis: readonly number[][]): number[] {
  const rest = vector;
  for (const row of basis) {
    const along = row.reduce((sum, x, i) => sum + x * rest[i]!, 0);
    for (const [i, x] of row.entries()) rest[i]! -= along * x;
  }
  return rest;
}

/** The shortest w with rows · w as wanted, by the normal equations of the rows. */
function solved(rows: readonly Float32Array[], wanted: readonly number[]): number[] {
  const n = rows.length;
  const m = rows.map((a, i) => [
    ...rows.map((b) => dot(a, 0, { b, bAt: 0, n: a.length })),
    wanted[i]!,
  ]);
  for (let k = 0; k < n; k++) {
    const pivot = m.reduce(
      (best, row, i) => (i >= k && Math.abs(row[k]!) > Math.abs(m[best]![k]!) ? i : best),
      k,
    );
    [m[k], m[pivot]] = [m[pivot]!, m[k]!];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = m[i]![k]! / m[k]![k]!;
      for (let j = k; j <= n; j++) m[i]![j]! -= factor * m[k]![j]!;
    }
  }
  const c = m.map((row, k) => row[n]! / row[k]!);
  return Array.from(rows[0]!, (_, i) => c.reduce((sum, x, row) => sum + x * rows[row]![i]!, 0));
}
