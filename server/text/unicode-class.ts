/** Unicode properties as the tokenizers library sees them, on every JavaScript engine. */
import { added, notYet } from "./unicode-16.ts";

/**
 * The class of a Unicode property, to stand inside a class of a regular expression with flag `v`; undefined if there
 * is no such property. General categories are those of Unicode 16 (unicode-16.ts), scripts have no code point that
 * Unicode 16 does not assign.
 */
export function unicodeClass(property: string): string | undefined {
  if (/^[LMNPSZC][a-z]?$/.test(property)) return categoryClass(property);
  const name = scripts.has(property) ? `Script=${property}` : undefined;
  return name && `[\\p{${name}}--[${allNotYet()}]]`;
}

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

function allNotYet(): string {
  return Object.values(notYet).map(printRanges).join("");
}

/** `"295 1c8a-1c8b"` as class text. */
function printRanges(ranges: string): string {
  return ranges.replace(/[0-9a-f]+/g, (hex) => `\\u{${hex}}`).replaceAll(" ", "");
}
