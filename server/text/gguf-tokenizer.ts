/**
 * The tokenizer in a GGUF file's metadata (ggml's docs/gguf.md, llama.cpp's llama-vocab.cpp) as the tokenizer.json it was
 * made from, or an equivalent one.
 *
 * `gpt2` vocabularies hold tokens and merges but name their split pattern only (`tokenizer.ggml.pre`); the patterns here are
 * those of the models' own tokenizer.json files. `llama` vocabularies hold sentencepiece's scores instead of merges.
 */
import { badGgufTokenizer, unsupportedGgufTokenizer } from "./errors.ts";

/** What `readTokenizer` takes. */
export interface TokenizerFiles {
  readonly tokenizerJson: Record<string, unknown>;
  readonly tokenizerConfig: Record<string, unknown>;
}

/** Rebuilds tokenizer.json and tokenizer_config.json from GGUF metadata. */
export function readGgufTokenizer(metadata: ReadonlyMap<string, unknown>): TokenizerFiles {
  const vocabulary = readGgufVocabulary(metadata);
  const model = metadata.get(`${prefix}model`);
  const notes: string[] = [];
  const tokenizerConfig = readConfig(metadata, vocabulary, notes);
  if (model === "gpt2")
    return { tokenizerJson: byteLevelJson(metadata, vocabulary, notes), tokenizerConfig };
  if (model === "llama")
    return { tokenizerJson: sentencePieceJson(metadata, vocabulary), tokenizerConfig };
  throw unsupportedGgufTokenizer(`${prefix}model`, JSON.stringify(model), '"gpt2" and "llama"');
}

const prefix = "tokenizer.ggml.";

/** `tokenizer.ggml.token_type`: llama.h, enum llama_token_type. */
const tokenTypes = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

interface GgufVocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

function readGgufVocabulary(metadata: ReadonlyMap<string, unknown>): GgufVocabulary {
  const tokens = metadata.get(`${prefix}tokens`);
  if (!Array.isArray(tokens) || !tokens.every((token) => typeof token === "string"))
    throw badGgufTokenizer(`${prefix}tokens is no list of strings`);
  const types =
    numbers(metadata, "token_type", tokens.length) ?? tokens.map(() => tokenTypes.normal);
  return { tokens, types };
}

/** A list of numbers, one per token, whether a plain or a typed array. */
function numbers(
  metadata: ReadonlyMap<string, unknown>,
  key: string,
  length: number,
): number[] | undefined {
  const value = metadata.get(prefix + key);
  if (value === undefined) return undefined;
  const list = ArrayBuffer.isView(value) || Array.isArray(value) ? value : [];
  const result = Array.from(list as ArrayLike<unknown>, Number);
  if (result.length !== length || result.some(Number.isNaN))
    throw badGgufTokenizer(`${prefix}${key} does not hold ${length} numbers`);
  return result;
}

function readConfig(
  metadata: ReadonlyMap<string, unknown>,
  { tokens }: GgufVocabulary,
  notes: string[],
): Record<string, unknown> {
  const config: Record<string, unknown> = { workbench_notes: notes };
  for (const [key, name] of Object.entries(namedTokens)) {
    const token = tokens[Number(metadata.get(`${prefix}${key}_token_id`) ?? -1)];
    if (token !== undefined) config[name] = token;
  }
  const addBos = metadata.get(`${prefix}add_bos_token`);
  if (typeof addBos === "boolean") config["add_bos_token"] = addBos;
  const template = metadata.get("tokenizer.chat_template");
  if (typeof template === "string") config["chat_template"] = template;
  return config;
}

const namedTokens = {
  bos: "bos_token",
  eos: "eos_token",
  unknown: "unk_token",
  padding: "pad_token",
} as const;

/** Control and user-defined tokens are found in text before it is split; control tokens are the special ones. */
function addedTokens({ tokens, types }: GgufVocabulary, alsoUnknown: boolean): unknown[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    const special = type === tokenTypes.control || (alsoUnknown && type === tokenTypes.unknown);
    if (!special && type !== tokenTypes.userDefined) return [];
    return [
      { id, content, special, normalized: false, lstrip: false, rstrip: false, single_word: false },
    ];
  });
}

interface Split {
  readonly normalizer?: unknown;
  readonly preTokenizers: readonly unknown[];
  readonly ignoreMerges?: boolean;
}

const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
const digits = { type: "Digits", individual_digits: true };

function splitBy(pattern: string): readonly unknown[] {
  return [
    { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
    { ...byteLevel, use_regex: false },
  ];
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
const others = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const llama3: Split = {
  preTokenizers: splitBy(`${contractions}\\p{N}{1,3}${others}`),
  ignoreMerges: true,
};
const qwen2: Split = {
  normalizer: { type: "NFC" },
  preTokenizers: splitBy(`${contractions}\\p{N}${others}`),
};
const gpt2: Split = { preTokenizers: [byteLevel] };
const digitsThenGpt2: Split = { preTokenizers: [digits, byteLevel] };

/** `tokenizer.ggml.pre` to the split of the models that llama.cpp gives this name. */
const splits: Readonly<Record<string, Split>> = {
  default: gpt2,
  "gpt-2": gpt2,
  smollm: digitsThenGpt2,
  starcoder: digitsThenGpt2,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  qwen2,
  "deepseek-r1-qwen": qwen2,
};

function byteLevelJson(
  metadata: ReadonlyMap<string, unknown>,
  vocabulary: GgufVocabulary,
  notes: string[],
): Record<string, unknown> {
  const name = metadata.get(`${prefix}pre`) ?? "default";
  const split = typeof name === "string" ? splits[name] : undefined;
  if (!split)
    throw unsupportedGgufTokenizer(
      `${prefix}pre`,
      JSON.stringify(name),
      Object.keys(splits).join(", "),
    );
  if (name === "default")
    notes.push(
      "the GGUF file does not name its split pattern; GPT-2's is used, so token ids may differ from the model's own (its tokenizer.json beside the file settles it)",
    );
  const merges = metadata.get(`${prefix}merges`);
  if (!Array.isArray(merges)) throw badGgufTokenizer(`${prefix}merges is no list`);
  return {
    added_tokens: addedTokens(vocabulary, false),
    normalizer: split.normalizer ?? null,
    pre_tokenizer: { type: "Sequence", pretokenizers: split.preTokenizers },
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: vocabularyOf(vocabulary),
      merges,
      ignore_merges: split.ignoreMerges ?? false,
    },
  };
}

/** Ids by token; of two equal tokens, which a broken file may have, the first counts. */
function vocabularyOf({ tokens }: GgufVocabulary): Record<string, number> {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (!ids.has(token)) ids.set(token, id);
  return Object.fromEntries(ids);
}

function sentencePieceJson(
  metadata: ReadonlyMap<string, unknown>,
  vocabulary: GgufVocabulary,
): Record<string, unknown> {
  if (metadata.get(`${prefix}remove_extra_whitespaces`) === true)
    throw unsupportedGgufTokenizer(`${prefix}remove_extra_whitespaces`, "true", "false");
  const scores = numbers(metadata, "scores", vocabulary.tokens.length);
  if (!scores) throw badGgufTokenizer(`it has no ${prefix}scores`);
  const replace = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
  const prepend = { type: "Prepend", prepend: "\u2581" };
  const prepends = metadata.get(`${prefix}add_space_prefix`) !== false;
  const unknown = vocabulary.types.indexOf(tokenTypes.unknown);
  const { merges, ranks } = mergesOfScores(vocabulary, scores);
  return {
    added_tokens: addedTokens(vocabulary, true),
    normalizer: { type: "Sequence", normalizers: prepends ? [prepend, replace] : [replace] },
    pre_tokenizer: null,
    decoder: prepends ? { type: "Strip", content: " ", start: 1, stop: 0 } : null,
    model: {
      type: "BPE",
      vocab: vocabularyOf(vocabulary),
      merges,
      merge_ranks: ranks,
      byte_fallback: vocabulary.types.includes(tokenTypes.byte),
      unk_token: vocabulary.tokens[unknown] ?? null,
      fuse_unk: true,
    },
  };
}

/**
 * Sentencepiece joins the two neighbours whose joint piece has the highest score, leftmost first (bpe_model.cc): merges are
 * all ways to halve a piece into two pieces, and all halves of one piece (of all pieces of one score) have one rank.
 */
function mergesOfScores(
  { tokens, types }: GgufVocabulary,
  scores: readonly number[],
): { merges: [string, string][]; ranks: number[] } {
  const joinable = (id: number): boolean =>
    types[id] === tokenTypes.normal || types[id] === tokenTypes.userDefined;
  const pieces = new Set(tokens.filter((_, id) => joinable(id)));
  const byScore = [...tokens.keys()]
    .filter((id) => types[id] === tokenTypes.normal)
    .sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const merges: [string, string][] = [];
  const ranks: number[] = [];
  let rank = -1;
  let score = Number.NaN;
  for (const id of byScore) {
    if (scores[id] !== score) rank++;
    score = scores[id] as number;
    const token = tokens[id] as string;
    for (let at = 1; at < token.length; at++) {
      if (/[\uDC00-\uDFFF]/.test(token[at] as string)) continue;
      const left = token.slice(0, at);
      const right = token.slice(at);
      if (!pieces.has(left) || !pieces.has(right)) continue;
      merges.push([left, right]);
      ranks.push(rank);
    }
  }
  return { merges, ranks };
}
