/** A task's words in a model's vocabulary, and prompts about them as token ids with the position that is read. */
import type { Tokenizer } from "../../text/tokenizer.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { shuffled } from "../shuffled.ts";
import { noAnswerToken, sameAnswerToken } from "./errors.ts";
import type { LabelledTask } from "./task.ts";

/** A word that is one token. */
export interface TaskWord {
  readonly id: number;
  /** With its blank in front, if it has one. */
  readonly text: string;
  readonly labels: readonly number[];
}

/** A prompt about a word, cut behind the token that is read: later tokens cannot change what is there. */
export interface WordPrompt {
  readonly word: TaskWord;
  readonly ids: Int32Array;
  /** The whole prompt, for people. */
  readonly text: string;
  /** The whole prompt; its last token is where the model answers. Begins with `ids`. */
  readonly wholeIds: Int32Array;
}

/** Words to learn from and words held out. */
export interface WordSplit {
  readonly train: readonly TaskWord[];
  readonly test: readonly TaskWord[];
}

/** SAEBench trains on four fifths of the words. */
const trainShare = 0.8;

/** Words of the vocabulary that the task labels, by token id. Fewer per label if asked, drawn by the seed. */
export function wordsOf(
  task: LabelledTask,
  tokenizer: Tokenizer,
  { perLabel, seed }: { perLabel?: number | undefined; seed: number },
): TaskWord[] {
  const words: TaskWord[] = [];
  for (let id = 0; id < tokenizer.d_vocab; id++) {
    const text = tokenizer.tokenText(id);
    if (!task.pattern.test(text)) continue;
    const labels = task.labelsOf(text.trim());
    if (labels.length > 0) words.push({ id, text, labels });
  }
  if (perLabel === undefined) return words;
  const counts = new Map<number, number>();
  const kept = new Set<number>();
  for (const at of shuffled(words.length, new SeededRandom(seed, 1))) {
    const [label = -1] = words[at]!.labels;
    const count = counts.get(label) ?? 0;
    if (count >= perLabel) continue;
    counts.set(label, count + 1);
    kept.add(at);
  }
  return words.filter((_, at) => kept.has(at));
}

/** Splits words at random. */
export function splitWords(words: readonly TaskWord[], seed: number): WordSplit {
  const order = Array.from(shuffled(words.length, new SeededRandom(seed, 2)), (at) => words[at]!);
  const cut = Math.floor(order.length * trainShare);
  return { train: order.slice(0, cut), test: order.slice(cut) };
}

/**
 * Writes prompts: a line break, examples about other words of `examples`, the word's own line. Words that are no single token
 * there, or whose token is not where the task reads, are left out.
 */
export class PromptWriter {
  readonly #task: LabelledTask;
  readonly #tokenizer: Tokenizer;
  readonly #examples: readonly TaskWord[];
  readonly #prependBos: boolean;

  constructor(
    task: LabelledTask,
    tokenizer: Tokenizer,
    { examples, prependBos }: { examples: readonly TaskWord[]; prependBos: boolean },
  ) {
    this.#task = task;
    this.#tokenizer = tokenizer;
    this.#examples = examples;
    this.#prependBos = prependBos;
  }

  /** The prompt about a word, with examples as `draw` gives them. */
  write(word: TaskWord, examples: readonly TaskWord[]): WordPrompt | undefined {
    const { template, readAt } = this.#task.prompt;
    const lines = examples.map((it) => this.#line(it) + this.#answer(it));
    const before = ["", ...lines, ""].join("\n");
    const text = before + template.replace("{word}", word.text);
    const { ids, start, end } = this.#tokenizer.encode(text);
    const wordEnd = before.length + word.text.length;
    const at = end.indexOf(wordEnd);
    if (at < 0 || ids[at] !== word.id || start[at] !== before.length) return undefined;
    const read = readAt === "word" ? at : ids.length + readAt;
    if (read !== at) return undefined;
    const { bosId } = this.#tokenizer;
    const bos = this.#prependBos && bosId !== undefined;
    const wholeIds = bos ? Int32Array.of(bosId, ...ids) : ids.slice();
    return { word, text, wholeIds, ids: wholeIds.slice(0, at + (bos ? 2 : 1)) };
  }

  /**
   * For each label the token with which its answer begins behind a prompt. Throws where an answer changes the prompt's own tokens, or
   * two labels begin with the same one: then no logit says which label the model means.
   */
  answerTokens({ text }: WordPrompt): number[] {
    const before = this.#tokenizer.encode(text).ids;
    const { labels, name } = this.#task;
    const tokens = labels.map((label, at) => {
      const { ids } = this.#tokenizer.encode(text + this.#answer({ labels: [at] }));
      const isKept = before.every((id, i) => ids[i] === id);
      const token = ids[before.length];
      if (!isKept || token === undefined) throw noAnswerToken(name, label);
      return token;
    });
    const twice = tokens.findIndex((token, at) => tokens.indexOf(token) < at);
    if (twice >= 0)
      throw sameAnswerToken(name, [labels[tokens.indexOf(tokens[twice]!)]!, labels[twice]!]);
    return tokens;
  }

  /** Examples for prompts about some words, none of which is among them. */
  draw(about: readonly TaskWord[], random: SeededRandom): TaskWord[] {
    const drawn = new Set<TaskWord>();
    const avoided = new Set(about.map((it) => it.text));
    const most = Math.min(this.#task.prompt.examples, this.#examples.length - avoided.size);
    while (drawn.size < most) {
      const it = this.#examples[Math.floor(random.uniform() * this.#examples.length)]!;
      if (!avoided.has(it.text)) drawn.add(it);
    }
    return [...drawn];
  }

  #line({ text }: TaskWord): string {
    return this.#task.prompt.template.replace("{word}", text);
  }

  #answer({ labels: [label = 0] }: Pick<TaskWord, "labels">): string {
    const name = this.#task.labels[label] ?? "";
    const capitalised = name.slice(0, 1).toUpperCase() + name.slice(1);
    return this.#task.prompt.answer.replace("{label}", name).replace("{Label}", capitalised);
  }
}
