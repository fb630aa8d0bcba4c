/** Tokenizers that cannot be followed exactly are refused by name, never read approximately. */
import { expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { translateOniguruma } from "../../server/text/oniguruma.ts";
import { readTokenizer } from "../../server/text/tokenizer.ts";

const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };

test.each<[string, string, unknown]>([
  ["unsupported-tokenizer", "the model Unigram", { model: { type: "Unigram", vocab: [] } }],
  ["unsupported-tokenizer", "the model WordPiece", { model: { type: "WordPiece", vocab: {} } }],
  [
    "unsupported-tokenizer",
    "normalizer Precompiled",
    { model, normalizer: { type: "Precompiled" } },
  ],
  [
    "unsupported-tokenizer",
    "normalizer BertNormalizer",
    {
      model,
      normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "BertNormalizer" }] },
    },
  ],
  [
    "unsupported-tokenizer",
    "pre-tokenizer UnicodeScripts",
    { model, pre_tokenizer: { type: "UnicodeScripts" } },
  ],
  [
    "unsupported-tokenizer",
    "pre-tokenizer Digits after ByteLevel",
    {
      model,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [{ type: "ByteLevel" }, { type: "Digits" }],
      },
    },
  ],
  ["unsupported-tokenizer", "merge dropout", { model: { ...model, dropout: 0.1 } }],
  [
    "unsupported-tokenizer",
    "end_of_word_suffix",
    { model: { ...model, end_of_word_suffix: "</w>" } },
  ],
  [
    "unsupported-tokenizer",
    "byte_fallback with 1 byte tokens",
    {
      model: {
        ...model,
        vocab: { ...model.vocab, "<0x0A>": 3, u: 4 },
        byte_fallback: true,
        unk_token: "u",
      },
    },
  ],
  ["bad-tokenizer", "merge 0 (a c)", { model: { ...model, merges: [["a", "c"]] } }],
  ["bad-tokenizer", "not a pair", { model: { ...model, merges: ["a b c"] } }],
  ["bad-tokenizer", "vocabulary is empty", { model: { type: "BPE" } }],
  ["bad-tokenizer", 'no "model"', {}],
  ["bad-tokenizer", "not a JSON object", "tokenizer"],
  ["bad-tokenizer", 'has id "x"', { model: { ...model, vocab: { a: "x" } } }],
])("%s: %s", (code, text, json) => {
  const error = thrown(() => readTokenizer(json));
  expect(error).toBeInstanceOf(UserError);
  expect(error).toMatchObject({ code });
  expect(error.message).toContain(text);
});

test.each<[string, string]>([
  ["\\w+", "\\w"],
  ["a\\b", "\\b"],
  ["(?m:a)", "this kind of group"],
  ["[[:alpha:]]", "a POSIX bracket"],
  ["\\p{Cherokee}", "a Unicode property"],
  ["(?i:[a-z])", "ignored case of a range"],
  ["(?i:é)", "ignored case of other letters"],
  ["a)", "an unmatched )"],
  ["(a", "an unclosed group"],
  ["\\1", "\\1"],
])("pattern %s is refused for %s", (pattern, what) => {
  const error = thrown(() => translateOniguruma(pattern));
  expect(error).toMatchObject({ code: "unsupported-pattern" });
  expect(error.message).toContain(what);
});

test.each<[string, string, string[]]>([
  ["(?i:'s|'ll)", "'S 'ſ 'lL 's", ["'S", "'ſ", "'lL", "'s"]],
  ["\\s+", "a\u0085\ufeff\u3000b", ["\u0085", "\u3000"]],
  ["[^\\r\\n\\p{L}]+", "a1-\nb", ["1-"]],
  ["a++b", "aaab", ["aaab"]],
  ["a++ab", "aaab", []],
  ["(?>a|ab)c", "abc ac", ["ac"]],
  ["a{2}b{1,}c{,2}", "aabbc", ["aabbc"]],
  ["[a-c&&[^b]]+", "abcca", ["a", "cca"]],
  ["[\\]\\-&(]+", "]-&(x", ["]-&("]],
  ["^b.", "b\nba\nbb", ["ba", "bb"]],
  ["\\x{65E5}|\\u672c|\\x41", "日本A", ["日", "本", "A"]],
  ["[一-龥]+", "日本x", ["日本"]],
  // Assigned in Unicode 17; the library's table is Unicode 16.
  ["\\p{L}+", "a\ua7ce\u1c89b", ["a", "\u1c89b"]],
  ["\\p{Ll}+", "aʕA", ["aʕ"]],
])("pattern %s on %j", (pattern, text, matches) => {
  expect(text.match(translateOniguruma(pattern)) ?? []).toEqual(matches);
});

function thrown(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

test("a merge without a result is refused when it is met", () => {
  const tokenizer = readTokenizer({ model: { ...model, merges: ["a b", "b a"] } });
  expect([...tokenizer.encode("ab").ids]).toEqual([2]);
  expect(() => tokenizer.encode("ba")).toThrow("merge (b a) makes no token of the vocabulary");
});
