/**
 * The BPE model of tokenizer.json over one piece of text: symbols (bytes or characters), merges, token ranges.
 *
 * As in the tokenizers library (models/bpe): a byte or character that the vocabulary lacks becomes its `<0xNN>` tokens,
 * else the unknown token, else it vanishes without a trace in the ids. Ranges are kept per symbol, so they stay right
 * after one that vanished (the library's own offsets shift there).
 */
import { characterOfByte } from "./byte-characters.ts";
import { badTokenizer, unsupportedTokenizer } from "./errors.ts";
import {
  type JsonObject,
  booleanField,
  listField,
  objectField,
  stringField,
} from "./json-fields.ts";
import { MergeSequence, MergeTable } from "./merges.ts";

/**
 * The tokens of a piece, five numbers each: id, start and end in the piece's UTF-16 code units, and as in
 * `ContextTokens` byteOfCharacter and bytesInCharacter.
 */
export type PieceTokens = readonly number[];

/** Longest piece that is remembered; longer ones are rarely seen twice. */
const longestRemembered = 256;

/** Pieces remembered per generation: the words of a long document several times over. */
const remembered = 32768;

/** A BPE model. */
export class BpeModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #bytes: boolean;
  readonly #merges: MergeTable;
  readonly #ignoreMerges: boolean;
  readonly #unknown: number | undefined;
  readonly #fuseUnknown: boolean;
  /** Id of each byte's token: the byte's character in a byte-level vocabulary, `<0xNN>` in others; -1 for none. */
  readonly #byteIds: Int32Array;
  readonly #characterIds: ReadonlyMap<number, number>;
  /** Pairs of characters at which a merge can join two tokens; absent where pieces must not be cut any further. */
  readonly #joints: MergeTable | undefined;
  #young = new Map<string, PieceTokens>();
  #old = new Map<string, PieceTokens>();
  #bytesOf = new PieceBytes();
  #sequence = new MergeSequence();

  /** `bytes`: whether pieces come from a ByteLevel pre-tokenizer. */
  constructor(json: JsonObject, bytes: boolean) {
    refuseUnsupported(json);
    this.#bytes = bytes;
    this.vocabulary = readVocabulary(json);
    this.#ignoreMerges = booleanField(json, "ignore_merges", false);
    this.#fuseUnknown = booleanField(json, "fuse_unk", false);
    const unknown = stringField(json, "unk_token");
    this.#unknown = unknown === undefined ? undefined : this.vocabulary.get(unknown);
    this.#byteIds = bytes
      ? Int32Array.from(characterOfByte, (character) => this.vocabulary.get(character) ?? -1)
      : byteTokens(this.vocabulary, booleanField(json, "byte_fallback", false));
    if (bytes && this.#byteIds.includes(-1) && booleanField(json, "byte_fallback", false))
      throw unsupportedTokenizer("byte_fallback behind ByteLevel", "one of the two");
    const nBytes = this.#byteIds.filter((id) => id >= 0).length;
    if (!bytes && nBytes > 0 && nBytes < 256 && this.#unknown !== undefined)
      throw unsupportedTokenizer(`byte_fallback with ${nBytes} byte tokens`, "all 256 or none");
    this.#characterIds = singleCharacters(this.vocabulary);
    const { table, joints } = readMerges(json, this.vocabulary, bytes);
    this.#merges = table;
    if (!bytes && !this.#ignoreMerges) this.#joints = joints;
  }

  /** Calls `take` for every stretch of a piece that can be encoded by itself, with its offset. */
  eachStretch(text: string, take: (stretch: string, offset: number) => void): void {
    const joints = this.#joints;
    if (!joints) return take(text, 0);
    let from = 0;
    let before = text.codePointAt(0) ?? 0;
    for (let at = before > 0xffff ? 2 : 1; at < text.length;) {
      const now = text.codePointAt(at) ?? 0;
      if (joints.rank(before, now) < 0 && !this.#fuses(before, now)) {
        take(text.slice(from, at), from);
        from = at;
      }
      before = now;
      at += now > 0xffff ? 2 : 1;
    }
    take(from === 0 ? text : text.slice(from), from);
  }

  /** The tokens of a stretch of text. */
  tokens(text: string): PieceTokens {
    const known = this.#young.get(text) ?? this.#old.get(text);
    if (known) return known;
    const tokens = this.#encode(text);
    if (text.length <= longestRemembered) this.#remember(text, tokens);
    return tokens;
  }

  #remember(text: string, tokens: PieceTokens): void {
    if (this.#young.size >= remembered) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, tokens);
  }

  #fuses(before: number, now: number): boolean {
    return this.#fuseUnknown && !this.#characterIds.has(before) && !this.#characterIds.has(now);
  }

  #encode(text: string): PieceTokens {
    const bytes = this.#bytesOf;
    bytes.read(text);
    if (this.#ignoreMerges) {
      const whole = this.vocabulary.get(this.#bytes ? bytes.spelled() : text);
      if (whole !== undefined) return [whole, 0, text.length, 0, 0];
    }
    const sequence = this.#sequence;
    sequence.clear();
    if (this.#bytes) this.#pushBytes();
    else this.#pushCharacters(text);
    sequence.merge(this.#merges);
    const tokens: number[] = [];
    for (let index = 0; index < sequence.length; index++) {
      tokens.push(sequence.id[index] as number);
      bytes.pushRange(tokens, sequence.begin[index] as number, sequence.end[index] as number);
    }
    if (sequence.id.length > 1 << 16) {
      this.#sequence = new MergeSequence();
      this.#bytesOf = new PieceBytes();
    }
    return tokens;
  }

  #pushBytes(): void {
    const { value, length } = this.#bytesOf;
    for (let at = 0; at < length; at++) {
      const id = this.#byteIds[value[at] as number] as number;
      if (id >= 0) this.#sequence.push(id, at, at + 1);
      else this.#pushUnknown(at, at + 1);
    }
  }

  #pushCharacters(text: string): void {
    const { value } = this.#bytesOf;
    let at = 0;
    for (const character of text) {
      const point = character.codePointAt(0) ?? 0;
      const end = at + utf8Length(point);
      const id = this.#characterIds.get(point);
      if (id !== undefined) this.#sequence.push(id, at, end);
      else if (value.subarray(at, end).every((byte) => (this.#byteIds[byte] as number) >= 0)) {
        for (let byte = at; byte < end; byte++)
          this.#sequence.push(this.#byteIds[value[byte] as number] as number, byte, byte + 1);
      } else this.#pushUnknown(at, end);
      at = end;
    }
  }

  #pushUnknown(begin: number, end: number): void {
    if (this.#unknown === undefined) return;
    const sequence = this.#sequence;
    const last = sequence.length - 1;
    if (this.#fuseUnknown && sequence.id[last] === this.#unknown && sequence.end[last] === begin)
      sequence.end[last] = end;
    else sequence.push(this.#unknown, begin, end);
  }
}

/** UTF-8 of a piece, with the way from bytes back to code units. Reused from piece to piece. */
class PieceBytes {
  value = new Uint8Array(256);
  length = 0;
  /** Per byte: code unit where its character starts, its index in the character, the character's bytes. */
  #unit = new Int32Array(256);
  #index = new Uint8Array(256);
  #size = new Uint8Array(256);

  read(text: string): void {
    if (3 * text.length > this.value.length) this.#grow(3 * text.length);
    const { value } = this;
    let to = 0;
    for (let unit = 0; unit < text.length; unit++) {
      const point = text.codePointAt(unit) ?? 0;
      const size = utf8Length(point);
      for (let index = 0; index < size; index++) {
        this.#unit[to + index] = unit;
        this.#index[to + index] = index;
        this.#size[to + index] = size;
        value[to + index] = 0x80 | ((point >> (6 * (size - 1 - index))) & 0x3f);
      }
      if (size === 1) value[to] = point;
      else value[to] = ((0xf00 >> size) & 0xff) | (point >> (6 * (size - 1)));
      to += size;
      if (size === 4) unit++;
    }
    this.length = to;
  }

  /** The bytes as a byte-level vocabulary spells them. */
  spelled(): string {
    let text = "";
    for (let at = 0; at < this.length; at++) text += characterOfByte[this.value[at] as number];
    return text;
  }

  /** Appends start, end, byteOfCharacter and bytesInCharacter of bytes [begin, end). */
  pushRange(tokens: number[], begin: number, end: number): void {
    const last = end - 1;
    const lastSize = this.#size[last] as number;
    const index = this.#index[begin] as number;
    const splitsLast = (this.#index[last] as number) < lastSize - 1;
    tokens.push(
      this.#unit[begin] as number,
      (this.#unit[last] as number) + (lastSize === 4 ? 2 : 1),
      index > 0 ? index + 1 : 0,
      index > 0 ? (this.#size[begin] as number) : splitsLast ? lastSize : 0,
    );
  }

  #grow(length: number): void {
    this.value = new Uint8Array(length);
    this.#unit = new Int32Array(length);
    this.#index = new Uint8Array(length);
    this.#size = new Uint8Array(length);
  }
}

function utf8Length(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}

function refuseUnsupported(json: JsonObject): void {
  const type = stringField(json, "type") ?? ("merges" in json ? "BPE" : "no type");
  if (type !== "BPE") throw unsupportedTokenizer(`the model ${type}`, "BPE");
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"])
    if (stringField(json, key)) throw unsupportedTokenizer(`a ${key}`, "BPE without affixes");
  if (json["dropout"]) throw unsupportedTokenizer("merge dropout, which is random", "no dropout");
}

function readVocabulary(json: JsonObject): Map<string, number> {
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(objectField(json, "vocab") ?? {})) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
      throw badTokenizer(`token ${JSON.stringify(token)} has id ${JSON.stringify(id)}`);
    vocabulary.set(token, id);
  }
  if (vocabulary.size === 0) throw badTokenizer("its vocabulary is empty");
  return vocabulary;
}

/** Ids of `<0x00>` to `<0xFF>`, -1 where missing or unused. */
function byteTokens(vocabulary: ReadonlyMap<string, number>, used: boolean): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) =>
    used ? (vocabulary.get(byteTokenName(byte)) ?? -1) : -1,
  );
}

function byteTokenName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

function singleCharacters(vocabulary: ReadonlyMap<string, number>): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [token, id] of vocabulary) {
    const point = token.codePointAt(0);
    if (point !== undefined && token.length === (point > 0xffff ? 2 : 1)) ids.set(point, id);
  }
  return ids;
}

/**
 * The merges, and the pairs of characters at which one of them joins two tokens: text may be cut between two
 * characters that no merge joins, and the stretches be encoded (and remembered) one by one with the same result.
 */
function readMerges(
  json: JsonObject,
  vocabulary: ReadonlyMap<string, number>,
  bytes: boolean,
): { table: MergeTable; joints: MergeTable | undefined } {
  const merges = listField(json, "merges");
  // Ours, for vocabularies with scores instead of merges (gguf-tokenizer.ts): merges that share a rank.
  const ranks = listField(json, "merge_ranks");
  const tokens: string[] = [];
  for (const [token, id] of vocabulary) tokens[id] = token;
  const table = new MergeTable(merges.length, (left, right) => {
    const result = vocabulary.get(`${tokens[left]}${tokens[right]}`);
    if (result !== undefined) return result;
    throw badTokenizer(`merge (${tokens[left]} ${tokens[right]}) makes no token of the vocabulary`);
  });
  let joints = bytes ? undefined : new MergeTable(merges.length, () => 0);
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = readMerge(merge);
    const leftId = vocabulary.get(left);
    const rightId = vocabulary.get(right);
    if (leftId === undefined || rightId === undefined)
      throw badTokenizer(
        `merge ${rank} (${left} ${right}) names a token that is not in the vocabulary`,
      );
    table.set(leftId, rightId, Number(ranks[rank] ?? rank));
    // A merge of byte tokens joins characters that it does not spell.
    if (right.startsWith("<0x") || left.endsWith(">")) {
      if (/^<0x[0-9A-F]{2}>/.test(right) || /<0x[0-9A-F]{2}>$/.test(left)) joints = undefined;
    }
    joints?.set(lastPoint(left), right.codePointAt(0) ?? 0, 0);
  }
  return { table, joints };
}

function readMerge(merge: unknown): [string, string] {
  const parts = typeof merge === "string" ? merge.split(" ") : merge;
  if (Array.isArray(parts) && parts.length === 2) {
    const [left, right] = parts as unknown[];
    if (typeof left === "string" && typeof right === "string") return [left, right];
  }
  throw badTokenizer(`merge ${JSON.stringify(merge)} is not a pair of tokens`);
}

function lastPoint(text: string): number {
  const unit = text.charCodeAt(text.length - 1);
  const pair = unit >= 0xdc00 && unit <= 0xdfff && text.length > 1;
  return (pair ? text.codePointAt(text.length - 2) : unit) ?? 0;
}
