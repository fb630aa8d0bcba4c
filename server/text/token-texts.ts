/** What token ids spell: the way back from ids to bytes and text. */
import type { AddedToken } from "./added-tokens.ts";
import { byteOfCharacter } from "./byte-characters.ts";
import { type JsonObject, objectList, stringField } from "./json-fields.ts";

const encoder = new TextEncoder();
const byteToken = /^<0x([0-9A-F]{2})>$/;

/** The spelling of a vocabulary. */
export class TokenTexts {
  readonly #tokens: (string | undefined)[] = [];
  readonly #added = new Map<number, string>();
  readonly #bytes: boolean;
  readonly #dropsFirstSpace: boolean;
  readonly #texts: (string | undefined)[] = [];

  /** `bytes`: whether the vocabulary spells bytes (ByteLevel). `decoder`: of tokenizer.json. */
  constructor(
    vocabulary: ReadonlyMap<string, number>,
    added: readonly AddedToken[],
    options: { bytes: boolean; decoder: JsonObject | undefined },
  ) {
    for (const [token, id] of vocabulary) this.#tokens[id] = token;
    for (const { id, content } of added) this.#added.set(id, content);
    this.#bytes = options.bytes;
    this.#dropsFirstSpace = !options.bytes && dropsFirstSpace(options.decoder);
  }

  /** The text of ids; bytes that are no UTF-8 become U+FFFD, and ids that are no tokens nothing. */
  decode(ids: ArrayLike<number>): string {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < ids.length; at++) parts.push(this.bytesOf(ids[at] as number));
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(parts));
    return this.#dropsFirstSpace && text.startsWith(" ") ? text.slice(1) : text;
  }

  /** One token for people: its text, with bytes that are no UTF-8 by themselves as `\xNN`. */
  text(id: number): string {
    return (this.#texts[id] ??= printBytes(this.bytesOf(id)));
  }

  /** The bytes that a token stands for, none for ids that are no tokens. */
  bytesOf(id: number): Uint8Array {
    const added = this.#added.get(id);
    if (added !== undefined) return encoder.encode(added);
    const token = this.#tokens[id];
    if (token === undefined) return new Uint8Array();
    if (this.#bytes) return spelledBytes(token);
    const byte = byteToken.exec(token)?.[1];
    if (byte !== undefined) return Uint8Array.of(parseInt(byte, 16));
    return encoder.encode(token.replaceAll("\u2581", " "));
  }
}

/** Whether decoding drops the space that encoding puts in front. */
function dropsFirstSpace(decoder: JsonObject | undefined): boolean {
  if (!decoder) return false;
  switch (decoder["type"]) {
    case "Sequence":
      return objectList(decoder, "decoders").some(dropsFirstSpace);
    case "Strip":
      return decoder["content"] === " " && Number(decoder["start"] ?? 0) > 0;
    case "Metaspace":
      return (
        decoder["add_prefix_space"] !== false && stringField(decoder, "prepend_scheme") !== "never"
      );
    default:
      return false;
  }
}

/** The bytes of a token of a byte-level vocabulary; a token that is not in that spelling stands for itself. */
function spelledBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** UTF-8 as text, with the other bytes as `\xNN`. */
function printBytes(bytes: Uint8Array): string {
  const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
  const whole = lenient.decode(bytes);
  if (!whole.includes("\ufffd")) return whole;
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const size = characterSize(bytes, at);
    if (size === 0)
      text += `\\x${(bytes[at] as number).toString(16).toUpperCase().padStart(2, "0")}`;
    else text += lenient.decode(bytes.subarray(at, at + size));
    at += Math.max(1, size);
  }
  return text;
}

/** Bytes of the whole character that starts here, 0 if none does. */
function characterSize(bytes: Uint8Array, at: number): number {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let size = 1; size <= 4 && at + size <= bytes.length; size++) {
    try {
      strict.decode(bytes.subarray(at, at + size));
      return size;
    } catch {
      // Not (yet) a whole character.
    }
  }
  return 0;
}
