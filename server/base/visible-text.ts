/**
 * Text of tokens made visible. Line breaks and tabs become signs; characters that are invisible or that change
 * the order of their neighbours (controls, bidirectional marks, zero-width characters) become their code points,
 * so that a token never looks like another text than it is.
 */

const signs: Readonly<Record<string, string>> = { "\n": "↵", "\r": "␍", "\t": "⇥" };

const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** A token's text as pages draw it. */
export function visibleText(text: string): string {
  return text.replace(hidden, (character) => signs[character] ?? codePoint(character));
}

function codePoint(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `⟨U+${code}⟩`;
}
