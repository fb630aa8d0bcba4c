/** The texts that ours and the peers read: excerpts with an exact number of tokens, and edits of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readTokenizer } from "../server/text/tokenizer.ts";
import { repoRoot } from "./places.ts";

/** A text to read, and what became of it after one typed character. */
export interface Edited {
  readonly before: string;
  readonly after: string;
}

/** Makes texts of a length for a model's tokenizer. */
export class HoverTexts {
  readonly #base: string;
  readonly #ends: Int32Array;

  constructor(modelFolder: string) {
    const json = (name: string): unknown =>
      JSON.parse(readFileSync(join(modelFolder, name), "utf8"));
    const tokenizer = readTokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
    const excerpt = readFileSync(join(repoRoot, "demo/self-check.txt"), "utf8").trim();
    this.#base = [excerpt, excerpt, excerpt].join("\n\n");
    this.#ends = tokenizer.encode(this.#base).end;
  }

  /** The first `tokens` tokens of the excerpt behind a different start each round, so that nothing can be reused. */
  fresh(tokens: number, round: number): string {
    // A digit is one token of SmolLM2's tokenizer.
    return `${round % 10}${this.#text(tokens - 1)}`;
  }

  /** One more character at the end. */
  typedAtEnd(tokens: number, round: number): Edited {
    const before = this.#text(tokens);
    return { before, after: before + letter(round) };
  }

  /** One more character between the two middle tokens. */
  typedInMiddle(tokens: number, round: number): Edited {
    const before = this.#text(tokens);
    const middle = this.#ends[Math.floor(tokens / 2) - 1] ?? 0;
    return { before, after: before.slice(0, middle) + letter(round) + before.slice(middle) };
  }

  #text(tokens: number): string {
    return this.#base.slice(0, this.#ends[tokens - 1]);
  }
}

function letter(round: number): string {
  return "abcdefghijklmnopqrstuvwxyz"[round % 26] ?? "a";
}
