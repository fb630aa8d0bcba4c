import { expect, test } from "vitest";
import type { ContextSource } from "../../server/protocol/context.ts";
import { pairContexts } from "../../server/text/pair-contexts.ts";
import { cutOf, sentencesOf, withoutCut } from "../../server/text/sentences.ts";
import { randomText, seeded } from "../random.ts";

function plain(text: string): ContextSource {
  return { kind: "plain", parts: [{ text, fileStart: 7 }] };
}

/** The text without each of its sentences. */
function shortened(text: string): string[] {
  const context = plain(text);
  const sentences = sentencesOf(context);
  return sentences.map(
    (_, index) => withoutCut(context, cutOf(sentences, index)).parts[0]?.text ?? "",
  );
}

test.each([
  ["A cat. The dog! End?", ["A cat. ", "The dog! ", "End?"]],
  ["\n\n  One.\n\nTwo.\n", ["\n\n  One.\n\n", "Two.\n"]],
  ["Hard-wrapped\nlines end no sentence. Q: Who?\nA: Me\n", ["Hard-wrapped\nlines end no sentence. ", "Q: Who?\n", "A: Me\n"]], // prettier-ignore
  ["一つ。二つ。", ["一つ。", "二つ。"]],
  ["   ", ["   "]],
  ["", []],
])("the sentences of %j", (text, expected) => {
  expect(sentencesOf(plain(text)).map((it) => it.text)).toEqual(expected);
});

test("the blanks after a sentence go with it, of the last one those before it", () => {
  expect(shortened("A cat. The dog! End?\n")).toEqual([
    "The dog! End?\n",
    "A cat. End?\n",
    "A cat. The dog!\n",
  ]);
  expect(shortened("Only one.\n")).toEqual([""]);
});

test("sentences of messages are in their own message, and messages keep their roles", () => {
  const parts = [
    { role: "user", text: "Hi. You?", fileStart: 3 },
    { role: "assistant", text: "Fine.", fileStart: 20 },
  ];
  const chat: ContextSource = { kind: "chat", parts };
  const sentences = sentencesOf(chat);
  expect(sentences.map(({ part, start }) => [part, start])).toEqual([
    [0, 0],
    [0, 4],
    [1, 0],
  ]);
  expect(withoutCut(chat, cutOf(sentences, 1)).parts).toEqual([
    { role: "user", text: "Hi.", fileStart: 0 },
    { role: "assistant", text: "Fine.", fileStart: 0 },
  ]);
});

test("sentences together are the whole text, whatever it is", () => {
  const random = seeded(3);
  for (let round = 0; round < 500; round++) {
    const text = randomText(random, Math.floor(random() * 30));
    const sentences = sentencesOf(plain(text));
    expect(sentences.map((it) => it.text).join("")).toBe(text);
    for (const { start, end } of sentences) expect(end).toBeGreaterThan(start);
  }
});

test("contexts of two versions: same ones first, then one with one, the rest alone", () => {
  const before = ["a", "b", "c", "d", "e"].map(plain);
  const after = ["a", "x", "c", "y", "z", "e", "f"].map(plain);
  expect(pairContexts(before, after)).toEqual([
    { before: 0, after: 0, same: true },
    { before: 1, after: 1, same: false },
    { before: 2, after: 2, same: true },
    { before: 3, after: 3, same: false },
    { after: 4, same: false },
    { before: 4, after: 5, same: true },
    { after: 6, same: false },
  ]);
});
