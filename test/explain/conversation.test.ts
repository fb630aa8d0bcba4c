// From an index to questions and scores: what is chosen, how answers are read, what is asked again.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { buildIndexRun } from "../../server/engine/index/index-run.ts";
import { parseExplanation, parseMarks, parsePredictions } from "../../server/explain/answers.ts";
import { apart } from "../../server/explain/apart.ts";
import { Conversation } from "../../server/explain/conversation.ts";
import { latentExamples } from "../../server/explain/examples.ts";
import { testScore } from "../../server/explain/scores.ts";
import type {
  ExplainedLatent,
  ExplainPlan,
  ExplainQuestion,
} from "../../server/protocol/explain.ts";
import { LatentIndex } from "../../server/store/index-reader.ts";
import { repoRoot } from "../parts.ts";
import { type FakeEndpoint, refuse, startEndpoint, wordJudge } from "./fake-endpoint.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
const scratch = mkdtempSync(join(tmpdir(), "explain-"));
const golden = (ending: string): Buffer =>
  readFileSync(join(repoRoot, `test/golden/metrics/autointerp_sampling.${ending}`));
const facts = JSON.parse(golden("json").toString()) as {
  parse_explanation: [string, string][];
  parse_predictions: [string, number[] | null][];
  score_predictions: [number[], number][];
};
let index: LatentIndex;
/** A latent that fires on " the" and little else. */
let detector: number;
let fake: FakeEndpoint;

beforeAll(async () => {
  const demo = join(repoRoot, "demo");
  const data = { kind: "files", lm: join(demo, "lm"), files: [join(demo, "self-check.txt")] };
  const { folder } = await buildIndexRun({
    folder: join(scratch, "run"),
    given: { kind: "index", sae: join(demo, "saes/resid2-1024"), data: { ...data, ctx: 128 } },
    device: "cpu",
    threads: 1,
    priority: "normal",
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  index = new LatentIndex(folder);
  const [id] = index.idsOfText(" the");
  detector = index.latentsOfToken(id!)[0]!.latent;
  fake = await startEndpoint(wordJudge("the"));
});
afterAll(async () => {
  index?.close();
  await fake?.close();
  rmSync(scratch, { recursive: true, force: true });
});

test("answers are read and scored as SAEBench reads and scores them", () => {
  for (const [answer, wanted] of facts.parse_explanation)
    expect(parseExplanation(answer)).toBe(wanted);
  for (const [answer, wanted] of facts.parse_predictions)
    expect(parsePredictions(answer) ?? null).toEqual(wanted);
  const truth = [true, false, false, true, false];
  for (const [named, wanted] of facts.score_predictions)
    expect(
      testScore(
        truth.map((_, at) => named.includes(at + 1)),
        truth,
      )?.accuracy,
    ).toBeCloseTo(wanted, 12);
  expect(parseExplanation("<think>on x activates on y</think> ")).toBeUndefined();
  expect(parseExplanation("This neuron activates on\n the word “a”..")).toBe("the word “a”");
});

test("strongest places apart from each other are SAEBench's", () => {
  const tensors = readSafetensors(golden("safetensors"));
  const acts = tensors.get("acts")!;
  const [rows, columns] = acts.dims as [number, number];
  const buffer = 10;
  const all = Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    return { place: row * 1000 + column, column, act: acts.data[at] as number };
  })
    .filter(({ column }) => column >= buffer && column < columns - buffer)
    .toSorted((a, b) => b.act - a.act);
  for (const [name, distance] of [
    ["top12_no_overlap_buffer10", buffer],
    ["top12_overlap", -1],
  ] as const) {
    const found = apart(all, 12, { distance }).flatMap(({ place }) => [
      Math.floor(place / 1000),
      place % 1000,
    ]);
    expect(found).toEqual(Array.from(tensors.get(name)!.data as BigInt64Array, Number));
  }
});

test("lists of zeros and ones, of the length that was asked for", () => {
  expect(parseMarks("[1, 0, 1]", 3)).toEqual([true, false, true]);
  expect(parseMarks("Sure: [1,0,1]. Not [0,0,0].", 3)).toEqual([true, false, true]);
  expect(parseMarks("[True, False]", 2)).toEqual([true, false]);
  for (const bad of ["[1, 0]", "1, 0, 1", "[1, 2, 0]", "[1, 0, 1", '["1", "0", "1"]', ""])
    expect(parseMarks(bad, 3)).toBeUndefined();
});

test("scores: accuracy, balanced, what 'none' is worth; what could not be read does not count", () => {
  const truth = [true, true, false, false, false, false];
  expect(testScore([true, false, false, false, true, undefined], truth)).toEqual({
    accuracy: 3 / 5,
    balanced: (1 / 2 + 2 / 3) / 2,
    none: 3 / 5,
    examples: 5,
    unread: 1,
  });
  expect(testScore([undefined], [true])).toBeUndefined();
});

test("examples: SAEBench's numbers, active or silent as they say, none shared, the same for the same seed", () => {
  const examples = latentExamples(index, detector, 0);
  const { explained, detection, fuzzing, threshold } = examples;
  expect(explained.length).toBe(15);
  expect(detection.length).toBe(14);
  expect(detection.filter(({ isActive }) => isActive).length).toBe(4);
  expect(fuzzing.filter(({ isRight }) => isRight).length).toBe(fuzzing.length / 2);
  // Marks at random: as many everywhere, one in the middle; right ones are where the latent fires.
  const wrong = fuzzing.filter(({ isRight }) => !isRight).map(({ marked }) => marked);
  const marks = wrong.map((marked) => marked.filter(Boolean).length);
  expect(new Set(marks).size).toBe(1);
  expect(wrong.every((marked) => marked[10])).toBe(true);
  const onThe = fuzzing.filter(
    ({ texts, marked, isRight }) =>
      isRight && texts.some((text, at) => marked[at] && text.trim().toLowerCase() === "the"),
  );
  expect(onThe.length).toBeGreaterThan(0.35 * fuzzing.length);
  const peaks = explained.map(({ acts }) => Math.max(...acts));
  expect(peaks).toEqual(peaks.toSorted((a, b) => b - a));
  expect(peaks[0]).toBeCloseTo(index.summary.max[detector]!, 5);
  expect(threshold).toBeCloseTo(peaks[0]! / 100, 5);
  for (const { texts, acts, isActive } of [...explained, ...detection]) {
    expect(texts.length).toBe(acts.length);
    expect(texts.length).toBeLessThanOrEqual(21);
    expect(acts.some((act) => act > threshold)).toBe(isActive);
  }
  const tested = [...detection, ...fuzzing].map(({ texts }) => texts.join(""));
  const shown = new Set(explained.map(({ texts }) => texts.join("")));
  expect(tested.filter((text) => shown.has(text))).toEqual([]);
  expect(latentExamples(index, detector, 0)).toEqual(examples);
  expect(latentExamples(index, detector, 1)).not.toEqual(examples);
  // Of many latents with too few contexts none is scored, and each says so.
  const { count } = index.summary;
  let unscored = 0;
  for (let latent = 0; latent < 200; latent++) {
    const found = latentExamples(index, latent, 0);
    expect(found.explained.length > 0).toBe(count[latent]! > 0);
    expect(found.detection.length === 0).toBe(found.problems.length > 0);
    unscored += found.problems.length;
  }
  expect(unscored).toBeGreaterThan(5);
});

test("what could not be read is asked again by the next run, and by no more than that", () => {
  const request = { latents: [detector], scores: ["fuzzing"], model: "judge", seed: 0 } as const;
  const answers = join(scratch, "unreadable.jsonl");
  const first = new Conversation(index, { ...request, answers });
  const planned = first.plan();
  expect(planned).toMatchObject({ questions: planned.ofQuestions });
  const [explanation] = first.next(detector).questions;
  first.answer(explanation!, "This neuron activates on articles");
  const batches = first.next(detector).questions;
  for (const [at, batch] of batches.entries())
    first.answer(batch, at === 0 ? "maybe" : listFor(batch, 1));
  const { result } = first.next(detector);
  expect(result).toMatchObject({ label: "articles", fuzzing: { unread: 5 } });
  expect(result?.problems).toEqual([expect.stringContaining("answers about 5 of")]);
  first.close();
  // A crash cut the last line off.
  const text = readFileSync(answers, "utf8");
  writeFileSync(answers, text.slice(0, -20));
  const again = new Conversation(index, { ...request, answers });
  expect(again.plan().questions).toBe(2);
  const open = again.next(detector).questions;
  expect(open.map(({ key }) => key)).toEqual([batches[0]!.key, batches.at(-1)!.key]);
  for (const batch of open) again.answer(batch, listFor(batch, 0));
  expect(again.next(detector).result?.problems).toEqual([]);
  again.close();
  const third = new Conversation(index, { ...request, answers });
  expect(third.plan()).toMatchObject({ questions: 0, tokensToSend: 0, text: "" });
  expect(third.next(detector).result).toEqual(again.next(detector).result);
});

/** An answer of fuzzing that says the same of every text. */
function listFor({ messages }: ExplainQuestion, mark: number): string {
  const texts = messages.at(-1)!.content.match(/^Example \d+:/gm)!;
  return JSON.stringify(texts.map(() => mark));
}

/** Runs the command line beside the endpoint, which lives in this process. */
function cli(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const path = join(repoRoot, "dist/cli.js");
  const env = { ...process.env, TEST_KEY: "sk-cli" };
  const child = spawn(
    process.execPath,
    [path, "explain", "--index", join(scratch, "run"), ...args],
    { env },
  );
  let [out, err] = ["", ""];
  child.stdout.on("data", (piece) => (out += String(piece)));
  child.stderr.on("data", (piece) => (err += String(piece)));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

test("the command line sends nothing without an endpoint, and shows what it would send", async () => {
  const latents = ["--latents", String(detector)];
  const shown = await cli(...latents);
  expect(shown.out).toContain("<< the>>");
  expect(shown.out).toMatch(
    /Nothing was sent\. \d+ questions .*about \d+ tokens to send \(bytes \/ 4\)/,
  );
  const asked = await cli(
    ...latents,
    "--endpoint",
    fake.url,
    "--model",
    "judge",
    "--show",
    "--json",
  );
  const { plan } = JSON.parse(asked.out) as { plan: ExplainPlan };
  expect(plan.questions).toBe(6);
  expect(fake.asked).toEqual([]);
});

test("a good explanation scores high; what the judge was sent is what was shown before", async () => {
  const args = ["--latents", String(detector), "--endpoint", fake.url, "--model", "judge"];
  const { out: shown } = await cli(...args, "--show");
  const output = join(scratch, "explanations-out.jsonl");
  const { code, out, err } = await cli(
    ...args,
    "--json",
    "--key-env",
    "TEST_KEY",
    "--output",
    output,
  );
  expect(code, err).toBe(0);
  const { latents } = JSON.parse(out) as { latents: ExplainedLatent[] };
  expect(latents[0]).toMatchObject({ latent: detector, label: 'the word "the"', problems: [] });
  // The latent fires on " the" but not on every one, and on a few other words.
  expect(latents[0]!.detection!.accuracy).toBeGreaterThan(0.8);
  expect(latents[0]!.detection!.none).toBeCloseTo(10 / 14, 12);
  expect(latents[0]!.fuzzing!.balanced).toBeGreaterThan(0.8);
  expect(fake.asked.length).toBe(6);
  for (const { messages, authorization, model } of fake.asked) {
    expect([model, authorization]).toEqual(["judge", "Bearer sk-cli"]);
    for (const { content } of messages) {
      const [before, after] = content.split('the word "the"');
      expect(shown).toContain(before);
      if (after !== undefined) expect(shown).toContain(after);
    }
  }
  expect(JSON.parse(readFileSync(output, "utf8"))).toMatchObject({
    index: String(detector),
    description: 'the word "the"',
    explanationModelName: "judge",
  });
  // All of it was kept: nothing is asked again.
  const again = await cli(...args, "--json");
  expect(JSON.parse(again.out)).toMatchObject({ latents });
  expect(fake.asked.length).toBe(6);
});

test("an explanation that is wrong scores what saying nothing scores", async () => {
  const wrong = await startEndpoint(wordJudge("zebra"));
  try {
    const args = ["--latents", String(detector), "--endpoint", wrong.url, "--model", "wrong"];
    const { out } = await cli(...args, "--json");
    const { latents } = JSON.parse(out) as { latents: ExplainedLatent[] };
    expect(latents[0]!.detection).toMatchObject({ accuracy: 10 / 14, balanced: 0.5 });
    expect(latents[0]!.fuzzing!.balanced).toBe(0.5);
  } finally {
    await wrong.close();
  }
});

test("a run that is refused half-way keeps what it has, and goes on from there", async () => {
  const judge = wordJudge("the");
  let left = 3;
  const moody = await startEndpoint((asked, response) =>
    left-- > 0 ? judge(asked, response) : refuse(response, 401),
  );
  try {
    const args = ["--latents", `${detector}`, "--endpoint", moody.url, "--model", "moody"];
    const stopped = await cli(...args, "--json", "--parallel", "1");
    expect(stopped.code).toBe(1);
    expect(stopped.err).toContain("endpoint-unauthorised");
    left = 99;
    moody.asked.length = 0;
    const done = await cli(...args, "--json");
    expect(done.code).toBe(0);
    expect(moody.asked.length).toBe(3);
    expect(done.err).toContain("3 questions to");
  } finally {
    await moody.close();
  }
});

test("what cannot be explained or asked is said", async () => {
  expect((await cli("--latents", "5000")).err).toContain(
    "has no latent 5000: it has latents 0 to 1023",
  );
  expect((await cli("--latents", "1-")).err).toContain("expected latents such as 1,2,10-19");
  expect(
    (await cli("--latents", "1", "--endpoint", "http://example.com/v1", "--model", "x")).err,
  ).toContain("unencrypted");
  const silent = index.summary.count.indexOf(0);
  const { out } = await cli(
    "--latents",
    String(silent),
    "--endpoint",
    fake.url,
    "--model",
    "judge",
    "--json",
  );
  expect(JSON.parse(out)).toMatchObject({
    latents: [{ problems: ["it fires nowhere in the index's corpus"] }],
  });
});
