/** Which tokens of a text are words by themselves. */

const letter = /[\p{L}\p{M}\p{N}'’_]/u;

/** Whether a token begins a word and the next one does not go on with it. `texts`: of all tokens of a context. */
export function isWholeWord(texts: readonly string[], token: number): boolean {
  const text = texts[token] ?? "";
  const before = texts[token - 1] ?? "";
  const after = texts[token + 1] ?? "";
  if (!letter.test(text.at(-1) ?? "")) return false;
  const begins = text.startsWith(" ") || !letter.test(before.at(-1) ?? "");
  return begins && !letter.test(after[0] ?? "");
}
