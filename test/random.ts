/** Seeded random numbers and random Unicode for tests. */

/** A generator of numbers in [0, 1) that is the same for the same seed (xorshift32). */
export function seeded(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const pieces = [
  " the",
  " absorbed",
  "Einstein",
  ". ",
  "\n",
  "\r\n",
  "\t",
  "   ",
  "123",
  "naïve",
  "e\u0301",
  "日本語",
  "مرحبا",
  "😀",
  "👩‍👩‍👧",
  "🇩🇪",
  "\u00a0",
  "\u200b",
  "\u202e",
  "<|endoftext|>",
  "#$%",
  "\u0007",
  "𝒳",
  "ﬁ",
  "-",
  "{",
];

/** A random piece of text: words, blanks, emoji, right-to-left marks, controls, a special token's spelling. */
export function randomText(random: () => number, length: number): string {
  return Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)] as string).join(
    "",
  );
}
