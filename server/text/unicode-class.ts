/** Unicode properties as the tokenizers library sees them, on every JavaScript engine. */
import { added, alsoPunctuation, notNormalized, notPunctuation, notYet } from "./unicode-tables.ts";

/**
 * The class of a Unicode property, to stand inside a class of a regular expression with flag `v`; undefined if there
 * is no such property. General categories are those of Unicode 16 (unicode-tables.ts), scripts have no code point that
 * Unicode 16 does not assign.
 */
export function unicodeClass(property: string): string | undefined {
  if (/^[LMNPSZC][a-z]?$/.test(property)) return categoryClass(property);
  const name = scripts.has(property) ? `Script=${property}` : undefined;
  return name && `[\\p{${name}}--[${unassigned()}]]`;
}

/** Matches one character of punctuation as the Punctuation step knows it: Rust's, and ASCII's symbols. */
export const punctuation = new RegExp(
  `[[\\p{P}\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e]--[${printRanges(notPunctuation)}]]|[${printRanges(alsoPunctuation)}]`,
  "gv",
);

/** Matches one character of a word (the regex crate's `\w`), by which `single_word` tokens are bounded. */
export const wordCharacter = new RegExp(
  `[[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]--[${unassigned()}]]`,
  "v",
);

/** Matches a character that normalizers leave alone because it is newer than their tables. */
export const unknownToNormalizers = new RegExp(`([${printRanges(notNormalized)}])`, "v");

/** Scripts that published tokenizers name; the list is short so that an unknown name is refused, not misread. */
const scripts = new Set(
  "Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari".split(" "),
);

function categoryClass(category: string): string {
  const leaves = Object.keys({ ...added, ...notYet }).filter((leaf) => leaf.startsWith(category));
  const plus = leaves.map((leaf) => printRanges(added[leaf] ?? "")).join("");
  const minus = leaves.map((leaf) => printRanges(notYet[leaf] ?? "")).join("");
  // Added last, so that a code point that only changed its category within this class stays in it.
  return `[[\\p{${category}}--[${minus}]]${plus}]`;
}

/** Code points that Unicode 16 does not assign; one that only changed its category since is not among them. */
function unassigned(): string {
  const changed = new Set(Object.values(added).flatMap((ranges) => ranges.split(" ")));
  const ranges = Object.values(notYet).flatMap((ranges) => ranges.split(" "));
  return printRanges(ranges.filter((range) => !changed.has(range)).join(" "));
}

/** `"295 1c8a-1c8b"` as class text. */
function printRanges(ranges: string): string {
  return ranges.replace(/[0-9a-f]+/g, (hex) => `\\u{${hex}}`).replaceAll(" ", "");
}
