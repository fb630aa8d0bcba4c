/** Tokenizers of real models: SmolLM2 (shared material) from both its files, and the bundled demo's. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGgufHeader } from "../../server/encoding/gguf.ts";
import { readGgufTokenizer } from "../../server/text/gguf-tokenizer.ts";
import { type Tokenizer, readTokenizer } from "../../server/text/tokenizer.ts";
import { describeWith, repoRoot, shared } from "../parts.ts";
import { randomText } from "./random-text.ts";

interface Pair {
  readonly text: string;
  readonly ids: number[];
}

const pairs = readJson(join(repoRoot, "test/golden/smollm2/tokenizer_golden_400.json")) as Pair[];
const folder = shared("models/smollm2");
const gguf = join(folder, "SmolLM2-135M-Instruct.Q4_1.gguf");

describeWith(join(folder, "tokenizer.json"), "SmolLM2's tokenizer.json", () => {
  const tokenizer = smollm2();

  test("400 adversarial texts", () => {
    expect(pairs).toHaveLength(400);
    checkPairs(tokenizer);
  });

  test("facts", () => {
    expect(tokenizer).toMatchObject({
      bosId: 1,
      bosToken: "<|im_start|>",
      eosIds: [2],
      d_vocab: 49152,
    });
    expect(tokenizer.chatTemplate).toContain("<|im_start|>");
    expect([...tokenizer.encode(" 12").ids]).toEqual([216, 33, 34]);
  });

  test("2,000 tokens are encoded again in a few milliseconds", () => {
    const sentence = "The lighthouse keeper counted the lights of the harbour, one after another. ";
    const text = sentence.repeat(160);
    const times = Array.from({ length: 15 }, (_, round) => {
      const started = performance.now();
      const { ids } = tokenizer.encode(`${text.slice(0, 4000)}${round}${text.slice(4000)}`);
      expect(ids.length).toBeGreaterThan(2000);
      return performance.now() - started;
    });
    // The best of them, so that a busy machine does not count; about 0.6 ms on a quiet one.
    expect(Math.min(...times)).toBeLessThan(5);
  });
});

describeWith(gguf, "SmolLM2's tokenizer from its GGUF file", () => {
  const { tokenizerJson, tokenizerConfig } = readGgufTokenizer(ggufMetadata());
  const tokenizer = readTokenizer(tokenizerJson, tokenizerConfig);

  test("400 adversarial texts", () => checkPairs(tokenizer));

  test("the same tokenizer as tokenizer.json's", () => {
    const other = smollm2();
    expect(tokenizer).toMatchObject({
      bosId: other.bosId,
      eosIds: other.eosIds,
      d_vocab: other.d_vocab,
      chatTemplate: other.chatTemplate,
    });
    for (let seed = 0; seed < 300; seed++)
      expect(tokenizer.encode(randomText(seed))).toEqual(other.encode(randomText(seed)));
  });
});

interface Prompt {
  readonly name: string;
  readonly text: string;
  readonly ids: number[];
  readonly offsets_chars: [number, number][];
}

const goldenPath = shared("goldens/smollm2/lm_golden_f16.json");
describeWith(goldenPath, "SmolLM2's prompts", () => {
  const { prompts } = readJson(goldenPath) as { prompts: Prompt[] };
  const tokenizer = smollm2();

  test.each(prompts)("$name", ({ text, ids, offsets_chars }) => {
    const encoding = tokenizer.encode(text);
    expect([...encoding.ids]).toEqual(ids);
    const unit = unitsOfCodePoints(text);
    expect([...encoding.start]).toEqual(offsets_chars.map(([start]) => unit[start]));
    expect([...encoding.end]).toEqual(offsets_chars.map(([, end]) => unit[end]));
  });
});

describe("the demo's tokenizer", () => {
  const tokenizer = readTokenizer(
    readJson(join(repoRoot, "demo/lm/tokenizer.json")),
    readJson(join(repoRoot, "demo/lm/tokenizer_config.json")),
  );

  test("BOS is id 0, and is not put in front by encode", () => {
    expect(tokenizer).toMatchObject({ bosId: 0, bosToken: "<|endoftext|>", eosIds: [0] });
    const { ids, start, end } = tokenizer.encode("Albert Einstein was born");
    expect(ids[0]).not.toBe(0);
    expect(tokenizer.decode(ids)).toBe("Albert Einstein was born");
    expect([start[0], end.at(-1)]).toEqual([0, 24]);
  });
});

function smollm2(): Tokenizer {
  return readTokenizer(
    readJson(join(folder, "tokenizer.json")),
    readJson(join(folder, "tokenizer_config.json")),
  );
}

function checkPairs(tokenizer: Tokenizer): void {
  for (const { text, ids } of pairs)
    expect([...tokenizer.encode(text).ids], JSON.stringify(text)).toEqual(ids);
}

function ggufMetadata(): Map<string, unknown> {
  const file = openSync(gguf, "r");
  try {
    const bytes = new Uint8Array(16 << 20);
    readSync(file, bytes, 0, bytes.length, 0);
    const header = readGgufHeader(bytes, fstatSync(file).size);
    if (!header) throw new Error("the header is longer than 16 MiB");
    return header.metadata;
  } finally {
    closeSync(file);
  }
}

/** The UTF-16 offset of every code point offset. */
function unitsOfCodePoints(text: string): number[] {
  const units = [0];
  for (const character of text) units.push((units.at(-1) as number) + character.length);
  return units;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
