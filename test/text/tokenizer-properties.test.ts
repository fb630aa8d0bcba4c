/** What must hold for any text: ranges in order, every byte accounted for, ids of a range decode to the text of the range. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Encoding, type Tokenizer, readTokenizer } from "../../server/text/tokenizer.ts";
import { repoRoot } from "../parts.ts";
import { randomText } from "./random-text.ts";

/** Tokenizers that lose nothing and change nothing. */
const exact = ["gpt2", "llama3", "deepseek", "llama2", "mistral", "gemma"];
const seeds = Array.from({ length: 400 }, (_, seed) => seed);

describe.each([...exact, "smollm", "qwen2", "lowercase"])("%s over random Unicode", (name) => {
  test("ranges are in order, inside the text, and cut no surrogate pair", () => {
    const tokenizer = fixture(name);
    for (const seed of seeds) {
      const text = randomText(seed);
      expect(brokenRange(text, tokenizer.encode(text)), `seed ${seed}`).toBeUndefined();
    }
  });
});

describe.each(exact)("%s over random Unicode", (name) => {
  test("every character is covered, byte by byte, and decodes to itself", () => {
    const tokenizer = fixture(name);
    for (const seed of seeds) checkExact(tokenizer, randomText(seed), `seed ${seed}`);
  });
});

test("a tokenizer that normalises decodes to the normal form", () => {
  const tokenizer = fixture("qwen2");
  for (const seed of seeds) {
    const text = randomText(seed).replace(/\p{Surrogate}/gu, "\ufffd");
    expect(tokenizer.decode(tokenizer.encode(text).ids)).toBe(text.normalize("NFC"));
  }
});

test("long text without breaks takes time n log n", () => {
  // Quadratic merging would take minutes here.
  const long = Array.from({ length: 100_000 }, (_, at) => "thelig"[(at * at + (at >> 3)) % 6]).join(
    "",
  );
  for (const name of ["gpt2", "llama2", "gemma"]) {
    const started = process.cpuUsage();
    const { end } = fixture(name).encode(long.repeat(4));
    expect(end.at(-1)).toBe(400_000);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(10);
  }
});

test("a run of millions of letters is refused with what to do", () => {
  expect(() => fixture("gpt2").encode("a".repeat(6_000_000))).toThrow(/break the run up/);
});

describe("lone surrogates", () => {
  test.each(["\ud800", "a\udc00b", "\ud83d \ude00", "\ude00\ud83d", "x\ud800"])("%j", (text) => {
    for (const name of ["gpt2", "llama2", "gemma", "qwen2"]) {
      const tokenizer = fixture(name);
      const clean = text.replace(/\p{Surrogate}/gu, "\ufffd");
      expect(tokenizer.encode(text)).toEqual(tokenizer.encode(clean));
    }
  });
});

test("the tokens of a character in several tokens say which of its bytes they hold", () => {
  const { start, end, byteOfCharacter, bytesInCharacter } = fixture("gpt2").encode("a\u{10348}");
  expect([...start]).toEqual([0, 1, 1, 1, 1]);
  expect([...end]).toEqual([1, 3, 3, 3, 3]);
  expect([...byteOfCharacter]).toEqual([0, 0, 2, 3, 4]);
  expect([...bytesInCharacter]).toEqual([0, 4, 4, 4, 4]);
});

test("a cluster that the normalizer changed counts as one character", () => {
  const { start, end, byteOfCharacter, bytesInCharacter } = fixture("qwen2").encode("xA\u030a");
  expect([...start]).toEqual([0, 1, 1]);
  expect([...end]).toEqual([1, 3, 3]);
  expect([...byteOfCharacter]).toEqual([0, 0, 2]);
  expect([...bytesInCharacter]).toEqual([0, 2, 2]);
});

test("one character that becomes several keeps its range in each", () => {
  const tokenizer = fixture("lowercase");
  const { ids, start, end, byteOfCharacter, bytesInCharacter } = tokenizer.encode("x㍿");
  const texts = [...ids].map((id) => tokenizer.tokenText(id));
  expect(texts.join("")).toBe(" x\\xE6\\xA0\\xAA\\xE5\\xBC\\x8F\\xE4\\xBC\\x9A\\xE7\\xA4\\xBE");
  const encoded = [start, end, byteOfCharacter, bytesInCharacter];
  const [starts, ends, bytes, sizes] = encoded.map((array) => [...array].slice(-12));
  expect(starts).toEqual(Array(12).fill(1));
  expect(ends).toEqual(Array(12).fill(2));
  expect(bytes).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(sizes).toEqual(Array(12).fill(12));
});

test("without parseSpecial, text of special tokens is text", () => {
  const tokenizer = fixture("qwen2");
  const text = "<|im_start|>a<think>";
  expect(tokenizer.encode(text).special[0]).toBe(1);
  const { ids, special } = tokenizer.encode(text, { parseSpecial: false });
  expect(special.includes(1)).toBe(false);
  expect(tokenizer.decode(ids)).toBe(text);
  expect(tokenizer.tokenText(ids.at(-1) as number)).toBe("<think>");
});

test("token texts are for people: bytes that are no text are spelled", () => {
  const gpt2 = fixture("gpt2");
  const spelled = [...gpt2.encode(" é日").ids].map((id) => gpt2.tokenText(id)).join("|");
  expect(spelled).toBe(" |é|\\xE6|\\x97|\\xA5");
  const gemma = fixture("gemma");
  expect([...gemma.encode("a 𐍈").ids].map((id) => gemma.tokenText(id)).join("|")).toBe(
    "a| |\\xF0|\\x90|\\x8D|\\x88",
  );
  expect(gpt2.tokenText(99_999)).toBe("");
});

/** The first token whose range is out of order or place. */
function brokenRange(text: string, { ids, start, end }: Encoding): number | undefined {
  for (let token = 0; token < ids.length; token++) {
    const from = start[token] as number;
    const to = end[token] as number;
    const ordered = from <= to && from >= (start[token - 1] ?? 0) && to >= (end[token - 1] ?? 0);
    if (!ordered || to > text.length || cutsPair(text, from) || cutsPair(text, to)) return token;
  }
  return undefined;
}

function checkExact(tokenizer: Tokenizer, text: string, where: string): void {
  const encoding = tokenizer.encode(text);
  const { ids, start, end } = encoding;
  const covered = new Uint8Array(text.length);
  for (let token = 0; token < ids.length; token++)
    covered.fill(1, start[token] as number, end[token] as number);
  expect(covered.includes(0), where).toBe(false);
  let first = 0;
  for (let token = 0; token < ids.length; token++) {
    if (!endsCharacter(encoding, token)) continue;
    const from = start[first] as number;
    const decoded = tokenizer.decode(
      Int32Array.of(...spaceFirst(tokenizer), ...ids.slice(first, token + 1)),
    );
    const expected = text.slice(from, end[token]).replace(/\p{Surrogate}/gu, "\ufffd");
    // The space that SentencePiece puts in front stands for nothing.
    if (decoded !== ` ${expected}`)
      expect(decoded, `${where}, tokens ${first} to ${token}`).toBe(expected);
    else expect(first, where).toBe(0);
    first = token + 1;
  }
  expect(first, where).toBe(ids.length);
}

/** A space token for tokenizers whose decoder drops the first space. */
function spaceFirst(tokenizer: Tokenizer): number[] {
  const space = tokenizer.idOf("▁") ?? -1;
  return space >= 0 && tokenizer.decode([space]) === "" ? [space] : [];
}

function endsCharacter({ start, end, byteOfCharacter }: Encoding, token: number): boolean {
  const next = token + 1;
  return (
    next >= start.length ||
    (byteOfCharacter[next] === 0 && (start[next] as number) >= (end[token] as number))
  );
}

function cutsPair(text: string, at: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1)) && at > 0;
}

function fixture(name: string): Tokenizer {
  const path = join(repoRoot, "test/golden/tokenizers", `${name}.json`);
  return readTokenizer(JSON.parse(readFileSync(path, "utf8")));
}
