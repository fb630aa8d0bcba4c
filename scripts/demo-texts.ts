/** The texts that the demo's SAEs are trained and measured on: running text of the corpus, and lists of first letters. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { SeededRandom } from "../server/base/seeded-random.ts";

/** Every n-th window is a list of first letters, which the model was trained to write. */
const spellingShare = 0.1;
/** Of these, so many are whole sentences. */
const templateShare = 0.3;
/** Lines of a list: about what a window holds. */
const linesPerList = 50;
/** Characters of a token of this corpus, about. */
const charactersPerToken = 4.2;

/** Writes `train.jsonl` and `validation.jsonl` into a folder, unless they are there. Texts for about so many tokens. */
export function writeTexts({
  corpus,
  lm,
  folder,
  tokens,
  validationTokens,
}: {
  corpus: string;
  lm: string;
  folder: string;
  tokens: number;
  validationTokens: number;
}): void {
  const documents = readDocuments(corpus);
  const random = new SeededRandom(0);
  // A sample of all sources, in an order that does not depend on the folder's.
  const shuffled = documents
    .map((text) => ({ text, key: random.uniform() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ text }) => text);
  const lists = new SpellingLists(lm, random);
  const characters = tokens * charactersPerToken;
  writeLines(
    join(folder, "train.jsonl"),
    mixed(
      shuffled.filter((text) => !isValidation(text)),
      characters,
      lists,
      random,
    ),
  );
  writeLines(
    join(folder, "validation.jsonl"),
    upTo(shuffled.filter(isValidation), validationTokens * charactersPerToken),
  );
}

/** Documents of all `.txt.gz` files, which empty lines separate. */
function readDocuments(corpus: string): string[] {
  const files = readdirSync(corpus).filter((name) => name.endsWith(".txt.gz"));
  if (files.length === 0) throw new Error(`${corpus} has no .txt.gz files`);
  return files.toSorted().flatMap((name) =>
    gunzipSync(readFileSync(join(corpus, name)))
      .toString("utf8")
      .split("\n\n")
      .map((text) => text.replace(/^\n+|\n+$/g, ""))
      .filter(Boolean),
  );
}

/** The corpus's own rule (its SOURCES.md): model and SAEs never see these documents. */
function isValidation(text: string): boolean {
  return Number.parseInt(createHash("sha1").update(text).digest("hex").slice(0, 8), 16) % 100 === 0;
}

function upTo(texts: readonly string[], characters: number): string[] {
  let left = characters;
  return texts.filter(({ length }) => {
    const isWanted = left > 0;
    left -= length;
    return isWanted;
  });
}

function mixed(
  texts: readonly string[],
  characters: number,
  lists: SpellingLists,
  random: SeededRandom,
): string[] {
  const running = upTo(texts, characters * (1 - spellingShare));
  let left = characters * spellingShare;
  const spelling: string[] = [];
  while (left > 0) {
    const list = lists.draw();
    spelling.push(list);
    left -= list.length;
  }
  return [...running, ...spelling]
    .map((text) => ({ text, key: random.uniform() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ text }) => text);
}

/** Lists of words with their first letters, from the words that are tokens of their own. */
class SpellingLists {
  readonly #words: readonly string[];
  readonly #random: SeededRandom;

  constructor(lm: string, random: SeededRandom) {
    const file = readFileSync(join(lm, "tokenizer.json"), "utf8");
    const { model } = JSON.parse(file) as { model: { vocab: Record<string, number> } };
    // Ġ is how byte-level tokenizers write a leading blank.
    this.#words = Object.keys(model.vocab)
      .filter((token) => /^Ġ[A-Za-z]{2,}$/.test(token))
      .map((token) => token.slice(1))
      .toSorted();
    this.#random = random;
  }

  draw(): string {
    const between = this.#random.uniform() < templateShare ? " has the first letter:" : ":";
    return Array.from({ length: linesPerList }, () => {
      const word = this.#words[Math.floor(this.#random.uniform() * this.#words.length)] ?? "";
      return ` ${word}${between} ${word.slice(0, 1).toUpperCase()}`;
    }).join("\n");
  }
}

function writeLines(path: string, texts: readonly string[]): void {
  writeFileSync(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
}
