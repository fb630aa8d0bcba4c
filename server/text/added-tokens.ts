/**
 * Added tokens: strings that become one token wherever they stand, before the text around them is split. As in the
 * tokenizers library (added_vocabulary.rs): longest match first from the left; `lstrip` and `rstrip` take the white
 * space beside the match along; `single_word` asks for word boundaries; tokens with `normalized` are looked for in
 * normalised text, the others before.
 */
import { type Piece, slicePiece, wholeText } from "./aligned-text.ts";
import { type JsonObject, booleanField, requiredString } from "./json-fields.ts";
import type { Normalizer } from "./normalizers.ts";
import { wordCharacter } from "./unicode-class.ts";

/** A string that is one token. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly singleWord: boolean;
}

/** An added token found in a piece, with the stretch it takes. */
export interface AddedMatch {
  readonly token: AddedToken;
  readonly piece: Piece;
}

/** An entry of `added_tokens`. */
export function readAddedToken(json: JsonObject, id: number): AddedToken {
  const special = booleanField(json, "special", false);
  return {
    id,
    content: requiredString(json, "content"),
    special,
    normalized: booleanField(json, "normalized", !special),
    lstrip: booleanField(json, "lstrip", false),
    rstrip: booleanField(json, "rstrip", false),
    singleWord: booleanField(json, "single_word", false),
  };
}

/** Finds added tokens in text. */
export class AddedTokenFinder {
  readonly #root: TrieNode = { next: new Map() };
  /** 1 for the code units that begin a token: most text is skipped by it. */
  readonly #begins = new Uint8Array(65536);
  readonly #empty: boolean;

  /** `normalizer`: what the text has been through, and so the tokens' contents must go through. */
  constructor(tokens: readonly AddedToken[], normalizer: Normalizer) {
    for (const token of tokens) {
      const content = normalizer(wholeText(token.content)).text;
      if (content === "") continue;
      let node = this.#root;
      for (let at = 0; at < content.length; at++) {
        const unit = content.charCodeAt(at);
        const next = node.next.get(unit) ?? { next: new Map() };
        node.next.set(unit, next);
        node = next;
      }
      node.token ??= token;
      this.#begins[content.charCodeAt(0)] = 1;
    }
    this.#empty = this.#root.next.size === 0;
  }

  /** The piece as stretches of text and added tokens. */
  split(piece: Piece, parseSpecial: boolean): (Piece | AddedMatch)[] {
    if (this.#empty) return [piece];
    const { text } = piece;
    const found: (Piece | AddedMatch)[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      const match = this.#begins[text.charCodeAt(at)] ? this.#longestAt(text, at) : undefined;
      if (!match) {
        at++;
        continue;
      }
      const { token, end } = match;
      const begin = at;
      at = end;
      if (token.special && !parseSpecial) continue;
      if (token.singleWord && !standsAlone(text, begin, end)) continue;
      const from = token.lstrip ? Math.max(done, whiteSpaceBefore(text, begin)) : begin;
      const to = token.rstrip ? whiteSpaceAfter(text, end) : end;
      if (from > done) found.push(slicePiece(piece, done, from));
      found.push({ token, piece: slicePiece(piece, from, to) });
      done = to;
    }
    if (done < text.length) found.push(slicePiece(piece, done, text.length));
    return found;
  }

  #longestAt(text: string, from: number): { token: AddedToken; end: number } | undefined {
    let node: TrieNode | undefined = this.#root;
    let longest: { token: AddedToken; end: number } | undefined;
    for (let at = from; at < text.length; at++) {
      node = node.next.get(text.charCodeAt(at));
      if (!node) break;
      if (node.token) longest = { token: node.token, end: at + 1 };
    }
    return longest;
  }
}

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  token?: AddedToken;
}

function standsAlone(text: string, begin: number, end: number): boolean {
  const before =
    begin === 0 ? "" : (/.$/su.exec(text.slice(Math.max(0, begin - 2), begin))?.[0] ?? "");
  const after = end >= text.length ? "" : String.fromCodePoint(text.codePointAt(end) ?? 0);
  return !wordCharacter.test(before) && !wordCharacter.test(after);
}

/** White space is never a surrogate pair, so code units will do. */
const whiteSpace = /\p{White_Space}/u;

function whiteSpaceBefore(text: string, at: number): number {
  let from = at;
  while (from > 0 && whiteSpace.test(text[from - 1] as string)) from--;
  return from;
}

function whiteSpaceAfter(text: string, at: number): number {
  let to = at;
  while (to < text.length && whiteSpace.test(text[to] as string)) to++;
  return to;
}
