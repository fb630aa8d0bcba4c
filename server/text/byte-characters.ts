/**
 * GPT-2's spelling of bytes as printable characters, in which byte-level vocabularies are written:
 * openai/gpt-2 encoder.py, bytes_to_unicode.
 */

/** The character of each byte. */
export const characterOfByte: readonly string[] = spellBytes();

/** The byte of each character. */
export const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte]),
);

function spellBytes(): string[] {
  let unprintable = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCodePoint(printable ? byte : 256 + unprintable++);
  });
}
