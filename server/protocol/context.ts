/** What the server knows of a file's contexts, and what the reader answers about their tokens. */

/** A run of text of a context with its way back to the file. */
export interface ContextPart {
  /** The role of a chat message; absent for plain text. */
  readonly role?: string;
  readonly text: string;
  /** Offset in the file, in UTF-16 code units, of `text[0]`. */
  readonly fileStart: number;
  /**
   * Only where text and file differ (JSON escapes): the file offset of every code unit of `text`, and of its end;
   * length `text.length + 1`. Relative to `fileStart`.
   */
  readonly fileOffsets?: Int32Array;
}

/** One context: a sequence that starts at position 0 of the model. */
export interface ContextSource {
  /** "plain": exactly one part. "chat": one part per message, rendered by the model's chat template. */
  readonly kind: "plain" | "chat";
  readonly parts: readonly ContextPart[];
}

/** Bits of `ContextTokens.flags`. */
export const tokenFlags = {
  /** A special token of the tokenizer (BOS, `<|im_start|>`, …). */
  special: 1,
  /** Not in the file: put there by the BOS policy or the chat template. */
  inserted: 2,
} as const;

/**
 * The tokens of a context, in structure-of-arrays form; every array has one entry per token.
 * Several tokens inside one character share its range; `byteOfCharacter` then tells them apart.
 */
export interface ContextTokens {
  readonly ids: Int32Array;
  /** Index into `ContextSource.parts`; -1 for inserted tokens. */
  readonly part: Int32Array;
  /** Range in the part's text, UTF-16 code units, end exclusive; 0, 0 for inserted tokens. */
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly flags: Uint8Array;
  /** 1-based number of the token's first byte within its character, 0 where the token begins at a character. */
  readonly byteOfCharacter: Uint8Array;
  /** UTF-8 length of that character, 0 where `byteOfCharacter` is 0 and the token ends at a character's end. */
  readonly bytesInCharacter: Uint8Array;
  /** Text of each token as the tokenizer's vocabulary spells it, decoded for people (bytes that are no text as \xNN). */
  readonly texts: readonly string[];
}
