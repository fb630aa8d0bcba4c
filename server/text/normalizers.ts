/**
 * The normalizers of tokenizer.json that can be followed character by character; the others are refused.
 *
 * NFC and its kin are applied cluster by cluster (a character with what may combine with it), so that every changed
 * cluster keeps the range of the original one; the result is checked against the normal form of the whole.
 */
import {
  type Piece,
  PieceBuilder,
  prependToPiece,
  respellPiece,
  slicePiece,
} from "./aligned-text.ts";
import { unalignedNormalForm, unsupportedTokenizer } from "./errors.ts";
import {
  type JsonObject,
  booleanField,
  objectField,
  objectList,
  requiredString,
  stringField,
} from "./json-fields.ts";
import { translateOniguruma } from "./oniguruma.ts";
import { unknownToNormalizers } from "./unicode-class.ts";

/** Changes text before it is split, and keeps its origin. */
export type Normalizer = (piece: Piece) => Piece;

const supported = "Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip";

/** The normalizer that tokenizer.json describes. */
export function readNormalizer(json: JsonObject | undefined): Normalizer {
  if (!json) return (piece) => piece;
  const type = requiredString(json, "type");
  switch (type) {
    case "Sequence": {
      const steps = objectList(json, "normalizers").map(readNormalizer);
      return (piece) => steps.reduce((now, step) => step(now), piece);
    }
    case "Prepend": {
      const prefix = requiredString(json, "prepend");
      return (piece) => (piece.text === "" ? piece : prependToPiece(piece, prefix));
    }
    case "Replace":
      return readReplace(json);
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (piece) => normalForm(piece, type);
    case "Lowercase":
      return lowercase;
    case "Strip":
      return readStrip(json);
    default:
      throw unsupportedTokenizer(`the normalizer ${type}`, supported);
  }
}

/** The pattern of a Replace or Split. */
export function readPattern(json: JsonObject): RegExp {
  const pattern = objectField(json, "pattern");
  const literal = pattern && stringField(pattern, "String");
  const expression = pattern && stringField(pattern, "Regex");
  if (literal !== undefined)
    return new RegExp(literal.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu");
  if (expression === undefined)
    throw unsupportedTokenizer(`the pattern ${JSON.stringify(pattern)}`, "String and Regex");
  return translateOniguruma(expression);
}

function readReplace(json: JsonObject): Normalizer {
  const pattern = readPattern(json);
  const content = requiredString(json, "content");
  const literal = stringField(objectField(json, "pattern") ?? {}, "String");
  if (literal === "") throw unsupportedTokenizer("a Replace of nothing", supported);
  if (literal?.length === 1 && content.length === 1)
    return (piece) =>
      piece.text.includes(literal)
        ? respellPiece(piece, piece.text.replaceAll(literal, content))
        : piece;
  return (piece) => replaceAll(piece, pattern, content);
}

function replaceAll(piece: Piece, pattern: RegExp, content: string): Piece {
  let builder: PieceBuilder | undefined;
  let done = 0;
  for (const match of piece.text.matchAll(pattern)) {
    if (match[0] === "") continue;
    builder ??= new PieceBuilder(piece, piece.text.length + 16);
    builder.keep(done, match.index);
    done = match.index + match[0].length;
    builder.replace(content, match.index, done);
  }
  builder?.keep(done, piece.text.length);
  return builder?.finish() ?? piece;
}

/** Rust's char::to_lowercase, which looks at one character at a time: no final sigma. */
function lowercase(piece: Piece): Piece {
  if (piece.text === piece.text.toLowerCase()) return piece;
  const builder = new PieceBuilder(piece, piece.text.length + 16);
  let at = 0;
  for (const character of piece.text) {
    builder.replace(character.toLowerCase(), at, at + character.length);
    at += character.length;
  }
  return builder.finish();
}

function readStrip(json: JsonObject): Normalizer {
  const left = booleanField(json, "strip_left", true);
  const right = booleanField(json, "strip_right", true);
  return (piece) => {
    const from = left ? (/^\p{White_Space}*/u.exec(piece.text)?.[0].length ?? 0) : 0;
    let to = piece.text.length;
    if (right) while (to > from && /\p{White_Space}/u.test(piece.text[to - 1] as string)) to--;
    return slicePiece(piece, from, to);
  };
}

type Form = "NFC" | "NFD" | "NFKC" | "NFKD";

/** ASCII never combines with what stands before it, so text may be cut before any ASCII character. */
const stretches =
  /[\0-\x7f]+(?![^\0-\x7f])|[\0-\x7f]?[^\0-\x7f]+|[\0-\x7f]+(?=[\0-\x7f][^\0-\x7f])/gu;

/** The normal form by the library's tables, which are those of about 2019. */
function normalize(text: string, form: Form): string {
  if (!unknownToNormalizers.test(text)) return text.normalize(form);
  const parts = text.split(unknownToNormalizers);
  return parts.map((part, index) => (index % 2 ? part : part.normalize(form))).join("");
}

function normalForm(piece: Piece, form: Form): Piece {
  // Every part of a normalised text is normalised, so what the library's tables lack does not matter here.
  if (piece.text.normalize(form) === piece.text) return piece;
  const whole = normalize(piece.text, form);
  const builder = new PieceBuilder(piece, whole.length + 16);
  for (const match of piece.text.matchAll(stretches)) {
    const [stretch] = match;
    if (normalize(stretch, form) === stretch)
      builder.keep(match.index, match.index + stretch.length);
    else normalizeClusters(builder, piece, match.index, stretch, form);
  }
  const result = builder.finish();
  if (result.text !== whole) throw unalignedNormalForm(form, differenceNear(result.text, whole));
  return result;
}

function normalizeClusters(
  builder: PieceBuilder,
  piece: Piece,
  offset: number,
  stretch: string,
  form: Form,
): void {
  let at = offset;
  for (const cluster of clusters(stretch, form)) {
    const to = at + cluster.length;
    const normal = normalize(cluster, form);
    if (normal === cluster) builder.keep(at, to);
    else builder.replace(normal, at, to);
    at = to;
  }
  if (at !== offset + stretch.length) throw unalignedNormalForm(form, piece.text.slice(offset, at));
}

/** Shortest stretches that normalise without regard to their neighbours. */
function clusters(stretch: string, form: Form): string[] {
  const result: string[] = [];
  for (const [candidate] of stretch.matchAll(/\P{M}?\p{M}+|\P{M}/gu)) {
    const before = result.at(-1);
    if (before !== undefined && joined(before, candidate, form))
      result[result.length - 1] += candidate;
    else result.push(candidate);
  }
  return result;
}

function joined(before: string, after: string, form: Form): boolean {
  return normalize(before + after, form) !== normalize(before, form) + normalize(after, form);
}

function differenceNear(found: string, expected: string): string {
  let at = 0;
  while (found[at] === expected[at] && at < found.length) at++;
  return expected.slice(Math.max(0, at - 10), at + 10);
}
