/** The pre-tokenizers of tokenizer.json: they cut text into the pieces that byte-pair merges never cross. */
import {
  type Piece,
  originStart,
  prependToPiece,
  respellPiece,
  slicePiece,
} from "./aligned-text.ts";
import { unbrokenRun, unsupportedTokenizer } from "./errors.ts";
import {
  type JsonObject,
  booleanField,
  objectList,
  requiredString,
  stringField,
} from "./json-fields.ts";
import { readPattern } from "./normalizers.ts";
import { translateOniguruma } from "./oniguruma.ts";
import { punctuation } from "./unicode-class.ts";

/** Cuts one piece into pieces, in order. */
export type PreTokenizer = (piece: Piece) => Piece[];

/** A pre-tokenizer, and whether the model behind it reads bytes (ByteLevel) or characters. */
export interface PreTokenization {
  readonly split: PreTokenizer;
  readonly bytes: boolean;
}

const supported =
  "Sequence, ByteLevel (last), Digits, Split, Metaspace, Punctuation, WhitespaceSplit";

/** GPT-2's pattern, as ByteLevel with use_regex has it: openai/gpt-2 encoder.py. */
export const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The pre-tokenizer that tokenizer.json describes. */
export function readPreTokenizer(json: JsonObject | undefined): PreTokenization {
  const steps = json ? flatten(json) : [];
  const byteLevel = steps.findIndex((step) => step["type"] === "ByteLevel");
  if (byteLevel >= 0 && byteLevel < steps.length - 1)
    throw unsupportedTokenizer(
      `the pre-tokenizer ${String(steps[byteLevel + 1]?.["type"])} after ByteLevel`,
      supported,
    );
  const splits = steps.map(readStep);
  return {
    split: (piece) => splits.reduce((pieces, split) => pieces.flatMap(split), [piece]),
    bytes: byteLevel >= 0,
  };
}

function flatten(json: JsonObject): JsonObject[] {
  return json["type"] === "Sequence" ? objectList(json, "pretokenizers").flatMap(flatten) : [json];
}

function readStep(json: JsonObject): PreTokenizer {
  const type = requiredString(json, "type");
  switch (type) {
    case "ByteLevel":
      return readByteLevel(json);
    case "Digits":
      // Digits asks Rust's char::is_numeric, whose table is newer than Oniguruma's: the engine's own is nearest.
      return booleanField(json, "individual_digits", false)
        ? splitter(/\p{N}/gu, "isolated", false)
        : splitter(/\p{N}/gu, "contiguous", false);
    case "Punctuation":
      return splitter(punctuation, readBehavior(json), false);
    case "WhitespaceSplit":
      return splitter(/\p{White_Space}/gu, "removed", false);
    case "Split":
      return splitter(readPattern(json), readBehavior(json), booleanField(json, "invert", false));
    case "Metaspace":
      return readMetaspace(json);
    default:
      throw unsupportedTokenizer(`the pre-tokenizer ${type}`, supported);
  }
}

function readByteLevel(json: JsonObject): PreTokenizer {
  const prefix = booleanField(json, "add_prefix_space", true);
  const split = booleanField(json, "use_regex", true)
    ? splitter(translateOniguruma(gpt2Pattern), "isolated", false)
    : (piece: Piece) => [piece];
  return (piece) =>
    split(prefix && !piece.text.startsWith(" ") ? prependToPiece(piece, " ") : piece);
}

function readMetaspace(json: JsonObject): PreTokenizer {
  const mark = stringField(json, "replacement") ?? "\u2581";
  if (!/^[^\s\w!-/:-@[-`{-~]$/.test(mark))
    throw unsupportedTokenizer(`the Metaspace replacement ${JSON.stringify(mark)}`, '"\u2581"');
  const scheme = booleanField(json, "add_prefix_space", true)
    ? (stringField(json, "prepend_scheme") ?? "always").toLowerCase()
    : "never";
  const split = booleanField(json, "split", true)
    ? splitter(new RegExp(mark, "gu"), "mergedwithnext", false)
    : (piece: Piece) => [piece];
  return (piece) => {
    const marked = respellPiece(piece, piece.text.replaceAll(" ", mark));
    const first = scheme === "always" || (scheme === "first" && originStart(piece, 0) === 0);
    return split(first && !marked.text.startsWith(mark) ? prependToPiece(marked, mark) : marked);
  };
}

const behaviors = [
  "removed",
  "isolated",
  "mergedwithprevious",
  "mergedwithnext",
  "contiguous",
] as const;
type Behavior = (typeof behaviors)[number];

function readBehavior(json: JsonObject): Behavior {
  const name = stringField(json, "behavior") ?? "isolated";
  const behavior = behaviors.find((each) => each === name.toLowerCase().replaceAll("_", ""));
  if (!behavior) throw unsupportedTokenizer(`the split behavior ${name}`, behaviors.join(", "));
  return behavior;
}

/** Whether a stretch of text matched, and where it ends. */
interface Stretch {
  end: number;
  readonly matched: boolean;
}

/** Cuts at the matches of a pattern, as the tokenizers library's NormalizedString::split does. */
function splitter(pattern: RegExp, behavior: Behavior, invert: boolean): PreTokenizer {
  return (piece) => {
    const { text } = piece;
    if (text === "") return [];
    const covering = behavior === "isolated" ? coveringMatches(text, pattern) : undefined;
    if (covering) return cutAlong(piece, covering);
    const ends = merge(stretchesOf(text, pattern, invert), behavior);
    const pieces: Piece[] = [];
    let from = 0;
    for (const { end, matched } of ends) {
      if (end > from && !(behavior === "removed" && matched))
        pieces.push(slicePiece(piece, from, end));
      from = end;
    }
    return pieces;
  };
}

/** All matches if they leave no gap, as most tokenizers' patterns do; a third of the time of asking for offsets. */
function coveringMatches(text: string, pattern: RegExp): readonly string[] | undefined {
  let matches: readonly string[];
  try {
    matches = text.match(pattern) ?? [];
  } catch (error) {
    // V8's backtrack stack: a run of some millions of letters or spaces that is one match.
    if (error instanceof RangeError) throw unbrokenRun(text.length, error);
    throw error;
  }
  let length = 0;
  for (const match of matches) length += match.length;
  return length === text.length ? matches : undefined;
}

function cutAlong(piece: Piece, parts: readonly string[]): Piece[] {
  const { map } = piece;
  const pieces: Piece[] = [];
  let { at } = piece;
  for (const text of parts) {
    if (text !== "") pieces.push({ text, at, map });
    at += text.length;
  }
  return pieces;
}

function stretchesOf(text: string, pattern: RegExp, invert: boolean): Stretch[] {
  const stretches: Stretch[] = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === "") continue;
    if (match.index > done) stretches.push({ end: match.index, matched: invert });
    done = match.index + match[0].length;
    stretches.push({ end: done, matched: !invert });
  }
  if (done < text.length) stretches.push({ end: text.length, matched: invert });
  return stretches;
}

function merge(stretches: Stretch[], behavior: Behavior): Stretch[] {
  if (behavior === "isolated" || behavior === "removed") return stretches;
  const merged: Stretch[] = [];
  for (const [index, stretch] of stretches.entries()) {
    const last = merged.at(-1);
    if (last && joins(stretches, index, behavior)) last.end = stretch.end;
    else merged.push({ ...stretch });
  }
  return merged;
}

/** Whether stretch `index` joins the one before it. */
function joins(stretches: readonly Stretch[], index: number, behavior: Behavior): boolean {
  const now = stretches[index]?.matched;
  const before = stretches[index - 1]?.matched;
  if (behavior === "contiguous") return now === before;
  if (behavior === "mergedwithprevious") return now === true && before === false;
  return now === false && before === true;
}
