/**
 * Labelled tasks: which words have which labels, and how a model is asked about them. A task is a file `labels/NAME.jsonc` or the
 * built-in `first-letter`. It knows words and prompts as text; tokens come in with `word-prompts.ts`.
 */
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import { badTask } from "./errors.ts";
import { type LabelRule, readLabelRule } from "./label-rules.ts";

/** How a prompt about a word is written, and where it is read. */
export interface PromptRecipe {
  /** Holds `{word}` once; nothing before it, so that the word keeps its blank or its place at the line's start. */
  readonly template: string;
  /** What follows in an example: `{label}`, `{Label}` (capitalised). */
  readonly answer: string;
  /** Lines before the word's own, about other words. */
  readonly examples: number;
  /** The token that is read: the word's own, or counted from the end (−1 is the last). */
  readonly readAt: "word" | number;
}

/** A task whose labels are understood. */
export interface LabelledTask {
  readonly name: string;
  readonly labels: readonly string[];
  /** Indices into `labels` of a word without blanks; none for a word that the task says nothing about. */
  readonly labelsOf: (word: string) => readonly number[];
  /** Vocabulary tokens that are words of the task, with their blank in front. */
  readonly pattern: RegExp;
  readonly prompt: PromptRecipe;
  /** The file's own text or the built-in's name: what caches are keyed by. */
  readonly source: string;
}

/** The published prompts. */
export const publishedPrompts: Readonly<Record<"sae-bench" | "paper", PromptRecipe>> = {
  /** sae-bench@0.6.0 evals/absorption/eval_config.py */
  "sae-bench": {
    template: "{word} has the first letter:",
    answer: " {Label}",
    examples: 10,
    readAt: -6,
  },
  /** Chanin et al. 2024, arXiv:2409.14507; sae-spelling feature_absorption_calculator.py */
  paper: { template: "{word}:", answer: " {Label}", examples: 10, readAt: -2 },
};

/** SAEBench's words: letters only, with or without a blank in front. */
const anyLetters = "^ ?[A-Za-z]+$";

/** SAEBench's first-letter task. */
export const firstLetter = "first-letter";

/** What tasks need from outside. */
export interface TaskSurroundings {
  /** The text of a file that the task names, relative to the task. */
  readonly readFile: (path: string) => string;
}

/** The built-in task, with one of the published prompts. */
export async function builtInTask(prompt: keyof typeof publishedPrompts): Promise<LabelledTask> {
  const rule = await readLabelRule({ kind: firstLetter }, firstLetter, { readFile: noFile });
  return {
    name: firstLetter,
    ...rule,
    pattern: new RegExp(anyLetters, "u"),
    prompt: publishedPrompts[prompt],
    source: `${firstLetter} ${prompt}`,
  };
}

/** Parses a task file; a `UserError` says line and reason. */
export async function parseTask(
  text: string,
  name: string,
  surroundings: TaskSurroundings,
): Promise<LabelledTask> {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw badTask(name, `line ${line}: ${printParseErrorCode(first.error)}`, "JSON with comments");
  }
  const fields = objectOf(value);
  if (!fields) throw badTask(name, "it is not an object", "an object with labels, words, prompt");
  const files: string[] = [];
  const rule: LabelRule = await readLabelRule(fields["labels"], name, {
    readFile: (path) => {
      const content = surroundings.readFile(path);
      files.push(content);
      return content;
    },
  });
  return {
    name: typeof fields["name"] === "string" ? fields["name"] : name,
    ...rule,
    pattern: readPattern(fields["words"] ?? anyLetters, name),
    prompt: readPrompt(fields["prompt"] ?? "sae-bench", name),
    source: [text, ...files].join("\n"),
  };
}

function readPattern(value: unknown, name: string): RegExp {
  if (typeof value !== "string")
    throw badTask(name, `"words" is ${JSON.stringify(value)}`, "a regular expression as text");
  try {
    return new RegExp(value, "u");
  } catch (cause) {
    throw badTask(name, `"words" is ${JSON.stringify(value)}`, "a regular expression", cause);
  }
}

function readPrompt(value: unknown, name: string): PromptRecipe {
  if (value === "sae-bench" || value === "paper") return publishedPrompts[value];
  const fields = objectOf(value);
  const { template, answer = " {label}", examples = 10, readAt = "word" } = fields ?? {};
  if (typeof template !== "string" || !template.startsWith("{word}"))
    throw badTask(
      name,
      `its prompt has the template ${JSON.stringify(template)}`,
      '"sae-bench", "paper", or an object whose "template" begins with {word}',
    );
  if (typeof answer !== "string" || !/\{label\}/i.test(answer))
    throw badTask(name, `its answer is ${JSON.stringify(answer)}`, "a text with {label} in it");
  if (!Number.isInteger(examples) || (examples as number) < 0)
    throw badTask(name, `"examples" is ${JSON.stringify(examples)}`, "a whole number from 0");
  if (readAt !== "word" && !(Number.isInteger(readAt) && (readAt as number) < 0))
    throw badTask(
      name,
      `"readAt" is ${JSON.stringify(readAt)}`,
      '"word" or a whole number below 0, counted from the end',
    );
  return { template, answer, examples: examples as number, readAt: readAt as "word" | number };
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function noFile(path: string): never {
  throw new Error(`bug: the built-in task reads no file, but ${path} was asked for`);
}
