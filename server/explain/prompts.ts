/**
 * The questions. What is asked, how examples are written and in which form answers come is SAEBench's for explanation and
 * detection (sae-bench 0.6.0, `evals/autointerp/main.py`) and delphi's for fuzzing (EleutherAI/delphi,
 * `scorers/classifier/`); the words are our own, so scores compare with each other rather than with published ones.
 */
import type { SeededRandom } from "../base/seeded-random.ts";
import type { ChatMessage } from "../protocol/explain.ts";
import type { Example, MarkedExample } from "./examples.ts";

/** Examples of one question of fuzzing. */
export const fuzzingBatch = 5;

const unit =
  "You study single units of a neural network that reads text. A unit fires on certain words, parts of words, signs, or ideas.";

const explain = `${unit}
You get a numbered list of short texts in which one unit fires, strongest first. The tokens on which it fires stand between << and >>; ↵ is the end of a line.
Say in one sentence what the unit fires on.
- Cover most of the marked tokens: do not name a single word if every word of such a passage is marked.
- Be no more specific than the texts demand. Mention capitals, punctuation or the place within a word where they matter.
- At most 20 words, as plain as possible, no list of examples, no formatting.
Answer in the form: This neuron activates on …`;

const detect = (count: number, like: string): string => `${unit}
You get a short explanation of what one unit fires on, and ${count} numbered texts in random order. Name the texts in which the unit fires at least once, on any word or part of a word. Take the explanation in a broad sense.
Answer with the numbers alone, separated by commas, such as "${like}", or with the word "None" if it fires in none of them. Write nothing else.`;

const fuzz = `${unit}
You get a short explanation of what one unit fires on, and some texts in which tokens are marked with << and >>. Some texts are marked rightly, others at random; it may be all of them or none. For each text in turn say 1 if every marked token fits the explanation, else 0.
Answer with a list in brackets, one number for each text, such as [1, 0, 0, 1, 1]. Write nothing else.`;

/** A made-up case that shows the form of answers. */
const fuzzExample = {
  explanation: "names of months",
  texts: [
    "The fair opens in<< May>> and closes in<< June>>.",
    "She may<< not>> come before<< noon>>.",
    "On the first of<< April>> nobody believed<< him>>.",
    "They met again in<< October>>, after the harvest.",
    "<<December>> was dark and<< January>> darker.",
  ],
  answer: "[1, 0, 0, 1, 1]",
} as const;

/** Asks for an explanation. */
export function explanationMessages(
  examples: readonly Example[],
  threshold: number,
): ChatMessage[] {
  const texts = examples.map(({ texts: tokens, acts }) =>
    plain(tokens.map((it, at) => (acts[at]! > threshold ? `<<${it}>>` : it)).join("")),
  );
  return [
    { role: "system", content: explain },
    { role: "user", content: `The texts:\n\n${numbered(texts)}` },
  ];
}

/** Asks in which examples the latent fires. */
export function detectionMessages(
  explanation: string,
  examples: readonly Example[],
  random: SeededRandom,
): ChatMessage[] {
  const count = examples.length;
  const active = examples.filter(({ isActive }) => isActive).length;
  const like = random
    .draw(new Float64Array(count).fill(1), active)
    .map((at) => at + 1)
    .toSorted((a, b) => a - b)
    .join(", ");
  const texts = examples.map(({ texts: tokens }) => plain(tokens.join("")));
  return [
    { role: "system", content: detect(count, like) },
    {
      role: "user",
      content: `The explanation: this unit fires on ${explanation}.\n\nThe texts:\n\n${numbered(texts)}`,
    },
  ];
}

/** Asks which examples are marked rightly. */
export function fuzzingMessages(
  explanation: string,
  examples: readonly MarkedExample[],
): ChatMessage[] {
  const { explanation: shown, texts, answer } = fuzzExample;
  return [
    { role: "system", content: fuzz },
    { role: "user", content: fuzzingText(shown, texts) },
    { role: "assistant", content: answer },
    { role: "user", content: fuzzingText(explanation, examples.map(markedText)) },
  ];
}

function fuzzingText(explanation: string, texts: readonly string[]): string {
  const lines = texts.map((text, at) => `Example ${at}: ${text}`);
  return `Explanation: ${explanation}\n\nTexts:\n\n${lines.join("\n")}`;
}

/** Marks around each run of marked tokens. */
function markedText({ texts, marked }: MarkedExample): string {
  const parts = texts.map((text, at) => {
    const opens = marked[at]! && marked[at - 1] !== true;
    const closes = marked[at]! && marked[at + 1] !== true;
    return `${opens ? "<<" : ""}${text}${closes ? ">>" : ""}`;
  });
  return plain(parts.join(""));
}

function numbered(texts: readonly string[]): string {
  return texts.map((text, at) => `${at + 1}. ${text}`).join("\n");
}

/** One line; bytes that are no characters are left out. */
function plain(text: string): string {
  return text.replaceAll("\uFFFD", "").replace(/\r?\n/g, "↵");
}
