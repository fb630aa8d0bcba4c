/** Tokenizers rebuilt from GGUF metadata against sentencepiece's own ids and the goldens of the tokenizer.json they were made of. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGgufTokenizer } from "../../server/text/gguf-tokenizer.ts";
import { type Tokenizer, readTokenizer } from "../../server/text/tokenizer.ts";
import { repoRoot } from "../parts.ts";

const folder = join(repoRoot, "test/golden/tokenizers");

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(folder, name), "utf8"));
}

function rebuilt(metadata: Record<string, unknown>): Tokenizer {
  const files = readGgufTokenizer(new Map(Object.entries(metadata)));
  return readTokenizer(files.tokenizerJson, files.tokenizerConfig);
}

describe("llama vocabularies (scores)", () => {
  const { metadata, rows } = readJson("sentencepiece-gguf.json") as {
    metadata: Record<string, unknown>;
    rows: { text: string; ids: number[] }[];
  };

  test("ids equal sentencepiece's", () => {
    const tokenizer = rebuilt(metadata);
    expect(rows.length).toBeGreaterThan(300);
    for (const { text, ids } of rows)
      expect([...tokenizer.encode(text).ids], JSON.stringify(text)).toEqual(ids);
    expect(tokenizer).toMatchObject({ bosId: 1, bosToken: "<s>", eosIds: [2], d_vocab: 700 });
  });

  test("typed arrays and no space in front", () => {
    const tokenizer = rebuilt({
      ...metadata,
      "tokenizer.ggml.scores": Float32Array.from(metadata["tokenizer.ggml.scores"] as number[]),
      "tokenizer.ggml.token_type": Int32Array.from(
        metadata["tokenizer.ggml.token_type"] as number[],
      ),
      "tokenizer.ggml.add_space_prefix": false,
    });
    const { ids, start } = tokenizer.encode("the light");
    expect(start[0]).toBe(0);
    expect(tokenizer.tokenText(ids[0] as number).startsWith(" ")).toBe(false);
    expect(tokenizer.decode(ids)).toBe("the light");
  });
});

describe("gpt2 vocabularies (merges)", () => {
  const texts = (readJson("strings.json") as { rows: string[] }).rows;

  test.each([
    ["smollm", "smollm"],
    ["llama3", "llama-bpe"],
    ["qwen2", "qwen2"],
    ["gpt2", "gpt-2"],
  ])("%s by the name %s", (kind, pre) => {
    const json = readJson(`${kind}.json`) as FixtureJson;
    const tokens: string[] = [];
    for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token;
    for (const { content, id } of json.added_tokens) tokens[id] = content;
    const special = new Map(json.added_tokens.map((each) => [each.id, each.special ? 3 : 4]));
    const tokenizer = rebuilt({
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": pre,
      "tokenizer.ggml.tokens": tokens,
      "tokenizer.ggml.token_type": tokens.map((_, id) => special.get(id) ?? 1),
      "tokenizer.ggml.merges": json.model.merges.map((pair) => pair.join(" ")),
      "tokenizer.ggml.eos_token_id": json.added_tokens[0]?.id,
      "tokenizer.chat_template": "{{ messages }}",
    });
    const { rows: goldens } = readJson(`${kind}.golden.json`) as { rows: { ids: number[] }[] };
    for (const [at, text] of texts.entries())
      expect([...tokenizer.encode(text).ids], JSON.stringify(text)).toEqual(goldens[at]?.ids);
    expect(tokenizer.eosIds).toEqual([json.added_tokens[0]?.id]);
    expect(tokenizer.chatTemplate).toBe("{{ messages }}");
    expect(tokenizer.bosId).toBeUndefined();
    expect(tokenizer.notes).toEqual([]);
  });

  test("an unnamed split pattern is noted, an unknown one refused", () => {
    const metadata = {
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.tokens": ["a", "b", "ab"],
      "tokenizer.ggml.merges": ["a b"],
    };
    expect(rebuilt(metadata).notes.join()).toContain("GPT-2's is used");
    expect(() => rebuilt({ ...metadata, "tokenizer.ggml.pre": "tekken" })).toThrow(
      'tokenizer.ggml.pre is "tekken"; supported: default, gpt-2, smollm',
    );
    expect(() => rebuilt({ ...metadata, "tokenizer.ggml.model": "t5" })).toThrow(
      'tokenizer.ggml.model is "t5"; supported: "gpt2" and "llama"',
    );
    expect(() => rebuilt({ "tokenizer.ggml.model": "gpt2" })).toThrow("is no list of strings");
  });
});

interface FixtureJson {
  readonly model: { vocab: Record<string, number>; merges: [string, string][] };
  readonly added_tokens: { id: number; content: string; special: boolean }[];
}
