/** Which words the causal rule is asked about: those that the probe knows, by what the main latents' own probe says of them. */
import { kSparseProbes, type LabelledActs, sparseScores } from "../../analysis/probes/k-sparse.ts";
import { probeProbabilities } from "../../analysis/probes/linear-probe.ts";
import { shuffled } from "../../analysis/shuffled.ts";
import { PromptWriter, type TaskWord, wordsOf } from "../../analysis/tasks/word-prompts.ts";
import type { WordPrompt } from "../../analysis/tasks/word-prompts.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import type { ProbeStage } from "./word-activations.ts";
import type { WordPlan } from "./word-plan.ts";

/** A word that the probe knows. */
export interface KnownWord {
  readonly word: TaskWord;
  /** Score of the k-sparse probe on the main latents; at or below 0 it misses the word. */
  readonly sparseScore: number;
}

/** Words of a label that the probe knows: test words, or all, as the plan says. */
export function knownWords(
  { plan, stage }: { plan: WordPlan; stage: ProbeStage },
  acts: { readonly train: LabelledActs; readonly test: LabelledActs },
  { label, main }: { label: number; main: readonly number[] },
): KnownWord[] {
  const probe = kSparseProbes(main, label, acts).byK.at(-1)!;
  const parts = plan.judge === "all" ? (["train", "test"] as const) : (["test"] as const);
  return parts.flatMap((part) => {
    const { words, x } = stage[part];
    const scores = sparseScores(probe, acts[part].acts);
    const probabilities = probeProbabilities(stage.probe, x);
    const { nLabels } = stage.probe;
    return words.flatMap((word, row) =>
      word.labels.includes(label) && probabilities[row * nLabels + label]! > 0.5
        ? [{ word, sparseScore: scores[row]! }]
        : [],
    );
  });
}

/** Writes each word into a prompt of its own, with examples from all words of the task. */
export class FreshPrompts {
  readonly #writer: PromptWriter;
  readonly #seed: number;

  constructor({ task, lm, prependBos, seed, perLabel }: WordPlan) {
    const examples = wordsOf(task, lm.tokenizer, { seed, perLabel });
    this.#writer = new PromptWriter(task, lm.tokenizer, { examples, prependBos });
    this.#seed = seed;
  }

  /** The same prompt whenever the same word is asked about. */
  of(word: TaskWord): WordPrompt | undefined {
    const random = new SeededRandom(this.#seed, 0xca05a1, word.id);
    return this.#writer.write(word, this.#writer.draw([word], random));
  }

  answerTokens(prompt: WordPrompt): number[] {
    return this.#writer.answerTokens(prompt);
  }
}

/** At most so many of a list, drawn by seeds; all of them in their order where they are no more. */
export function drawn<T>(list: readonly T[], most: number, ...seeds: readonly number[]): T[] {
  if (list.length <= most) return [...list];
  const order = shuffled(list.length, new SeededRandom(...seeds));
  return Array.from(order.subarray(0, most).sort(), (at) => list[at]!);
}
