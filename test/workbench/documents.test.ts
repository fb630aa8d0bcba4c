import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { ContextTokens } from "../../server/protocol/context.ts";
import { readContexts } from "../../server/text/contexts.ts";
import { OpenDocument } from "../../server/workbench/documents.ts";
import { tokenAt, tokenRange } from "../../server/workbench/positions.ts";
import { contextAt } from "../../server/workbench/positions.ts";

/** A document whose contexts have readings that only count. */
function readDocument(text: string): { document: OpenDocument; controllers: AbortController[] } {
  const document = new OpenDocument("file:///folder/prompts/a.txt");
  document.update(1, text, "lines");
  const controllers = document.contexts.map((state) => {
    const controller = new AbortController();
    state.readings.set("bos", { promise: new Promise(() => {}), controller });
    return controller;
  });
  return { document, controllers };
}

test("an edit re-reads its own context only; the others keep their readings wherever they moved", () => {
  const { document, controllers } = readDocument("one\ntwo\nthree");
  const slots = document.contexts.map((state) => state.slot);
  document.update(2, "zero\none\ntwo and more\nthree", "lines");
  expect(document.contexts.map((state) => state.readings.size)).toEqual([0, 1, 0, 1]);
  expect(controllers.map((it) => it.signal.aborted)).toEqual([false, true, false]);
  expect(document.contexts[1]?.slot).toBe(slots[0]);
  expect(document.contexts[3]?.slot).toBe(slots[2]);
  // The edited line goes on in the stream it had, whose KV prefix is still good.
  expect([document.contexts[0]?.slot, document.contexts[2]?.slot]).toContain(slots[1]);
  expect(new Set(document.contexts.map((state) => state.slot)).size).toBe(4);
  expect(document.contexts[1]?.source.parts[0]?.fileStart).toBe(5);
});

test.each([
  ["---\nlatent-workbench:\n  contexts: lines\n---\ntext", true],
  ["---\nlatent-workbench:\n---\ntext", true],
  ["---\ntitle: a\n---\ntext", false],
  ["text", false],
])("front matter with our key asks for the file to be read: %j", (text, asks) => {
  const document = new OpenDocument("untitled:Untitled-1");
  document.update(1, text, "file");
  expect(document.asksToBeRead).toBe(asks);
  expect(document.problems).toEqual([]);
});

test("two equal contexts do not share a reading", () => {
  const { document } = readDocument("same\nsame");
  document.update(2, "same\nsame\nsame", "lines");
  const slots = document.contexts.map((state) => state.slot);
  expect(new Set(slots).size).toBe(3);
});

test("an edit clears the selection, another version of the same text does not", () => {
  const { document } = readDocument("one");
  document.selection = { startOffset: 0, endOffset: 2 };
  document.update(2, "one", "lines");
  expect(document.selection).toBeDefined();
  document.update(3, "on", "lines");
  expect(document.selection).toBeUndefined();
});

test("the context under an offset", () => {
  const { document } = readDocument("one\ntwo\n\nthree");
  expect([0, 3, 4, 7, 9, 14].map((offset) => contextAt(document, offset))).toEqual([
    0, 0, 1, 1, 2, 2,
  ]);
});

const source = {
  kind: "chat" as const,
  parts: [
    { role: "user", text: "ab", fileStart: 10 },
    // "\n" is two characters in the file.
    { role: "assistant", text: "c\nd", fileStart: 30, fileOffsets: Int32Array.of(0, 1, 3, 4) },
  ],
};
const tokens = {
  ids: new Int32Array(8),
  part: Int32Array.of(-1, 0, 0, -1, -1, 1, 1, -1),
  start: Int32Array.of(0, 0, 1, 0, 0, 0, 1, 0),
  end: Int32Array.of(0, 1, 2, 0, 0, 1, 3, 0),
} as unknown as ContextTokens;

test("ranges go through JSON escapes; tokens of the template have none", () => {
  expect([0, 1, 5, 6].map((index) => tokenRange(source, tokens, index))).toEqual([
    undefined,
    { startOffset: 10, endOffset: 11 },
    { startOffset: 30, endOffset: 31 },
    { startOffset: 31, endOffset: 34 },
  ]);
});

test("the token under an offset, with template tokens between the messages", () => {
  const at = [9, 10, 11, 12, 29, 30, 31, 32, 33, 34].map((offset) =>
    tokenAt(source, tokens, offset),
  );
  expect(at).toEqual([undefined, 1, 2, undefined, undefined, 5, 6, 6, 6, undefined]);
});

test("an edit of a large chat file costs its own line and keeps one version in memory", () => {
  const lines = Array.from({ length: 1500 }, (_, i) => lineOf(i));
  const document = new OpenDocument("file:///chat.jsonl");
  document.update(0, lines.join("\n"), "file");
  const [first] = document.contexts;
  const whole = process.cpuUsage();
  new OpenDocument("file:///other.jsonl").update(0, lines.join("\n"), "file");
  const wholeTime = process.cpuUsage(whole).user;
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const times: number[] = [];
  for (let version = 1; version <= 40; version++) {
    lines[version * 30] = lineOf(10_000 + version);
    const text = lines.join("\n");
    const started = process.cpuUsage();
    document.update(version, text, "file");
    times.push(process.cpuUsage(started).user);
  }
  expect(document.contexts[0]).toBe(first);
  expect(document.contexts[30]?.source).toEqual(readOf(lines.join("\n"), 30));
  expect(Math.min(...times)).toBeLessThan(wholeTime / 2);
  collectGarbage();
  // 40 versions of 0.9 MB would be 36 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(15 * 2 ** 20);
});

function lineOf(i: number): string {
  return JSON.stringify({
    messages: [{ role: "user", content: `Why ${i} is the sea\nloud? é`.repeat(20) }],
  });
}

function readOf(text: string, index: number): unknown {
  return readContexts({ name: "chat.jsonl", text }).contexts[index];
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
