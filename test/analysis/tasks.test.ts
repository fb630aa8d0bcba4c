// Labelled tasks: their files, labels of words, words of a vocabulary, prompts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { builtInTask, parseTask } from "../../server/analysis/tasks/task.ts";
import { PromptWriter, splitWords, wordsOf } from "../../server/analysis/tasks/word-prompts.ts";
import { readTokenizer } from "../../server/text/tokenizer.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { describeWith, repoRoot, shared } from "../parts.ts";
import { readFacts } from "./goldens.ts";

const tokenizer = readTokenizer(
  JSON.parse(readFileSync(join(repoRoot, "demo/lm/tokenizer.json"), "utf8")),
);
const noFile = { readFile: () => "" };

async function labelsOf(labels: unknown, words: string[], file = ""): Promise<string[][]> {
  const task = await parseTask(JSON.stringify({ labels }), "test", { readFile: () => file });
  return words.map((word) => task.labelsOf(word).map((at) => task.labels[at]!));
}

test("labels by first letter, by characters, by regular expression", async () => {
  expect(await labelsOf({ kind: "first-letter" }, ["Paris", "élan"])).toEqual([["p"], []]);
  expect(await labelsOf({ kind: "characters", property: "last-letter" }, ["Paris"])).toEqual([
    ["s"],
  ]);
  expect(await labelsOf({ kind: "characters", property: "length" }, ["cat"])).toEqual([["3"]]);
  expect(await labelsOf({ kind: "characters", property: "case" }, ["a", "A", "Ab", "AB"])).toEqual([
    ["lower case"],
    ["capitalised"],
    ["capitalised"],
    ["upper case"],
  ]);
  const regex = { kind: "regex", labels: { "-ing": "ing$", short: "^.{1,4}$" } };
  expect(await labelsOf(regex, ["ring", "reading", "water"])).toEqual([
    ["-ing", "short"],
    ["-ing"],
    [],
  ]);
});

test("labels by word list, a label per line, and by part of speech", async () => {
  const list = "# kinds\nanimal: cat, dog\ncolour: red green\nanimal: Horse\n";
  const words = ["Dog", "green", "horse", "stone"];
  expect(await labelsOf({ kind: "word-list", file: "kinds.txt" }, words, list)).toEqual([
    ["animal"],
    ["colour"],
    ["animal"],
    [],
  ]);
  expect(await labelsOf({ kind: "part-of-speech" }, ["river", "quickly", "for", "and"])).toEqual([
    ["Noun"],
    ["Adverb"],
    ["Preposition"],
    ["Conjunction"],
  ]);
});

test.each([
  ["{", /line 1: .*JSON with comments/],
  ["[]", /not an object/],
  ['{"labels": {"kind": "letters"}}', /first-letter, word-list, regex/],
  ['{"labels": {"kind": "regex", "labels": {"a": "("}}}', /a is "\("; expected a regular/],
  ['{"labels": "first-letter", "prompt": {"template": "the {word}"}}', /begins with \{word\}/],
  ['{"labels": "first-letter", "words": "("}', /"words" is "\("/],
])("a bad task %s says what is wrong", async (text, message) => {
  await expect(parseTask(text, "labels/bad.jsonc", noFile)).rejects.toThrow(message);
});

test("words of the demo's vocabulary, split in fifths, fewer per label when asked", async () => {
  const task = await builtInTask("sae-bench");
  const words = wordsOf(task, tokenizer, { seed: 0 });
  expect(words.length).toBeGreaterThan(5000);
  expect(words.every(({ text }) => /^ ?[A-Za-z]+$/.test(text))).toBe(true);
  const { train, test: held } = splitWords(words, 0);
  expect(train.length / words.length).toBeCloseTo(0.8, 3);
  expect(new Set([...train, ...held]).size).toBe(words.length);
  const few = wordsOf(task, tokenizer, { perLabel: 3, seed: 0 });
  expect(few.length).toBeLessThanOrEqual(78);
  expect(new Set(few.map(({ labels }) => labels[0])).size).toBeGreaterThan(20);
});

test.each([
  ["sae-bench", " has the first letter:"],
  ["paper", ":"],
] as const)("prompts by the template of %s end in the word", async (prompt, after) => {
  const task = await builtInTask(prompt);
  const words = wordsOf(task, tokenizer, { seed: 0 });
  const writer = new PromptWriter(task, tokenizer, { examples: words, prependBos: true });
  const word = words.find(({ text }) => text === " for")!;
  const examples = writer.draw([word], new SeededRandom(1));
  expect(examples).not.toContain(word);
  const written = writer.write(word, examples)!;
  expect(written.ids[0]).toBe(tokenizer.bosId);
  expect(written.ids.at(-1)).toBe(word.id);
  expect(written.text.split("\n")).toHaveLength(12);
  expect(written.text.endsWith(`\n for${after}`)).toBe(true);
  expect(written.text.split("\n")[1]).toMatch(new RegExp(`${after} [A-Z]$`));
  expect(writer.draw([word], new SeededRandom(1))).toEqual(examples);
});

test("a whole prompt begins with the part that is read, and the token of each label's answer comes behind it", async () => {
  const task = await builtInTask("sae-bench");
  const words = wordsOf(task, tokenizer, { seed: 0 });
  const writer = new PromptWriter(task, tokenizer, { examples: words, prependBos: true });
  const word = words.find(({ text }) => text === " for")!;
  const written = writer.write(word, writer.draw([word], new SeededRandom(1)))!;
  expect([...written.wholeIds.subarray(0, written.ids.length)]).toEqual([...written.ids]);
  expect(tokenizer.decode(written.wholeIds.subarray(written.ids.length))).toBe(
    " has the first letter:",
  );
  const answers = writer.answerTokens(written).map((id) => tokenizer.tokenText(id));
  expect(answers).toEqual(Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (letter) => ` ${letter}`));
});

test.each([
  [{ one: "^ a", other: "^ b" }, " the {label}", /answers for one and other begin with the same/],
  [{ ing: "^ a", other: "^ b" }, "{label}", /the answer for ing changes the tokens of the prompt/],
])("answers between which no logit decides are refused: %j", async (labels, answer, message) => {
  const prompt = { template: "{word} end", answer, examples: 1 };
  const file = JSON.stringify({ labels: { kind: "regex", labels }, prompt });
  const task = await parseTask(file, "test", noFile);
  const writer = new PromptWriter(task, tokenizer, { examples: [], prependBos: false });
  const id = tokenizer.encode(" for").ids[0]!;
  const written = writer.write({ id, text: " for", labels: [0] }, [])!;
  expect(() => writer.answerTokens(written)).toThrow(message);
});

describeWith(shared("goldens/saebench"), "SAEBench's prompts", () => {
  test("its vocabulary is ours, and ours are in its form", async () => {
    const smollm = readTokenizer(readFacts(shared("models/smollm2/tokenizer.json")));
    const task = await builtInTask("sae-bench");
    const words = wordsOf(task, smollm, { seed: 0 });
    const setup = readFacts(shared("goldens/saebench/absorption_setup.json")) as {
      vocab: string[];
    };
    const ours = new Set(words.map(({ text }) => text));
    expect(setup.vocab.filter((word) => !ours.has(word))).toEqual([]);
    const prompts = readFacts(shared("goldens/saebench/absorption_prompts.json")) as {
      test: { token: string; prompt: string; answer_class: number }[];
    };
    for (const { token, prompt, answer_class } of prompts.test) {
      const lines = prompt.split("\n");
      expect(lines).toHaveLength(12);
      const word = words.find(({ text }) => text === token)!;
      expect(word.labels).toEqual([answer_class]);
      const ids = smollm.encode(prompt).ids;
      expect(ids.at(-6)).toBe(word.id);
    }
  });
});
