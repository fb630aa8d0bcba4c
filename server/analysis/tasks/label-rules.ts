/** Where labels of words come from: first letters, word lists, regular expressions, properties of characters, parts of speech. */
import { badTask } from "./errors.ts";

/** Labels and who has them. */
export interface LabelRule {
  readonly labels: readonly string[];
  readonly labelsOf: (word: string) => readonly number[];
}

interface Around {
  readonly readFile: (path: string) => string;
}

const kinds = "first-letter, word-list, regex, characters or part-of-speech";
const alphabet = Array.from("abcdefghijklmnopqrstuvwxyz");

/** Understands the `labels` of a task file. */
export async function readLabelRule(
  value: unknown,
  task: string,
  around: Around,
): Promise<LabelRule> {
  const fields = (typeof value === "string" ? { kind: value } : value) as
    Record<string, unknown> | null | undefined;
  switch (fields?.["kind"]) {
    case "first-letter":
      return letterRule((word) => word[0]);
    case "characters":
      return characterRule(fields["property"], task);
    case "regex":
      return regexRule(fields["labels"], task);
    case "word-list":
      return wordListRule(fields["file"], task, around);
    case "part-of-speech":
      return partOfSpeechRule(fields["labels"], task);
    default:
      throw badTask(task, `its labels are ${JSON.stringify(value)}`, `a "kind": ${kinds}`);
  }
}

/** One label per letter; which letter of the word it is, the rule says. */
function letterRule(letterOf: (word: string) => string | undefined): LabelRule {
  return {
    labels: alphabet,
    labelsOf: (word) => {
      const label = alphabet.indexOf((letterOf(word) ?? "").toLowerCase());
      return label < 0 ? [] : [label];
    },
  };
}

const lengths = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10 or more"];

function characterRule(property: unknown, task: string): LabelRule {
  switch (property) {
    case "last-letter":
      return letterRule((word) => word.at(-1));
    case "length":
      return {
        labels: lengths,
        labelsOf: (word) => [Math.min(lengths.length, Array.from(word).length) - 1],
      };
    case "case":
      return {
        labels: ["lower case", "capitalised", "upper case"],
        labelsOf: (word) => {
          const lower = word === word.toLowerCase();
          if (lower) return [0];
          return word.length > 1 && word === word.toUpperCase() ? [2] : [1];
        },
      };
    default:
      throw badTask(
        task,
        `"property" is ${JSON.stringify(property)}`,
        "last-letter, length or case",
      );
  }
}

function regexRule(value: unknown, task: string): LabelRule {
  const entries = Object.entries((value ?? {}) as Record<string, unknown>);
  if (entries.length === 0)
    throw badTask(task, "it has no regular expressions", '"labels": { "NAME": "REGEX", … }');
  const patterns = entries.map(([name, source]) => {
    try {
      return new RegExp(String(source), "u");
    } catch (cause) {
      throw badTask(task, `${name} is ${JSON.stringify(source)}`, "a regular expression", cause);
    }
  });
  return {
    labels: entries.map(([name]) => name),
    labelsOf: (word) => patterns.flatMap((pattern, label) => (pattern.test(word) ? [label] : [])),
  };
}

/** A file with a label per line: `animal: cat, dog, horse`. Case does not matter. */
function wordListRule(file: unknown, task: string, { readFile }: Around): LabelRule {
  if (typeof file !== "string")
    throw badTask(task, `"file" is ${JSON.stringify(file)}`, "the path of a word list");
  const labels: string[] = [];
  const byWord = new Map<string, number[]>();
  for (const [number, line] of readFile(file).split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    if (colon < 1)
      throw badTask(
        task,
        `${file}, line ${number + 1} is ${JSON.stringify(line)}`,
        "LABEL: word, word, …",
      );
    const name = line.slice(0, colon).trim();
    const known = labels.indexOf(name);
    const label = known < 0 ? labels.push(name) - 1 : known;
    for (const word of line
      .slice(colon + 1)
      .split(/[\s,]+/)
      .filter(Boolean)) {
      const key = word.toLowerCase();
      byWord.set(key, [...(byWord.get(key) ?? []), label]);
    }
  }
  return { labels, labelsOf: (word) => byWord.get(word.toLowerCase()) ?? [] };
}

const defaultParts = [
  "Noun",
  "Verb",
  "Adjective",
  "Adverb",
  "Preposition",
  "Conjunction",
  "Determiner",
];

/** The tags of compromise for the word by itself: its lexicon and its rules on endings, without a sentence around it. */
async function partOfSpeechRule(value: unknown, task: string): Promise<LabelRule> {
  const labels = (value ?? defaultParts) as unknown;
  if (!Array.isArray(labels) || labels.some((it) => typeof it !== "string"))
    throw badTask(task, `"labels" is ${JSON.stringify(value)}`, "a list of compromise's tags");
  // Its lexicon takes 50 ms to unpack, which other tasks need not pay.
  const { default: tag } = await import("compromise/two");
  return {
    labels: labels as string[],
    labelsOf: (word) => {
      const [sentence] = tag(word).json() as { terms?: { tags?: string[] }[] }[];
      const tags = sentence?.terms?.length === 1 ? (sentence.terms[0]?.tags ?? []) : [];
      return (labels as string[]).flatMap((label, at) => (tags.includes(label) ? [at] : []));
    },
  };
}
