/**
 * Sentences of a context, and the context without one of them. Sentences are those of Unicode's rules (UAX 29, as
 * `Intl.Segmenter` has them), with the blanks that follow; a line break before a small letter, as in hard-wrapped text, ends none.
 */
import type { Sentence } from "../protocol/comparison.ts";
import type { ContextPart, ContextSource } from "../protocol/context.ts";

// Fixed, so that the same text has the same sentences on every machine.
const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** The sentences of all parts in order; together they are the whole text. */
export function sentencesOf(context: ContextSource): Sentence[] {
  return context.parts.flatMap(({ text }, part) => {
    const starts: number[] = [];
    // A line break before a small letter becomes a blank: of the same length, so that offsets stay.
    const joined = text.replace(/(?<![\r\n])(\r\n|\n|\r)(?=\p{Ll})/gu, (it) =>
      " ".repeat(it.length),
    );
    for (const { segment, index } of segmenter.segment(joined)) {
      // Blank lines belong to the sentence before them, those at the beginning to the first.
      const blank = segment.trim() === "";
      if (index === 0 || (!blank && joined.slice(0, index).trim() !== "")) starts.push(index);
    }
    return starts.map((start, at) => {
      const end = starts[at + 1] ?? text.length;
      return { part, start, end, text: text.slice(start, end) };
    });
  });
}

/** The part and range that are left out with a sentence, in its part's text. */
export interface Cut {
  readonly part: number;
  readonly start: number;
  readonly end: number;
}

/**
 * What is left out with a sentence: the blanks after it, too. The last sentence of a part goes with the blanks before it instead,
 * so that a line break at the end stays.
 */
export function cutOf(sentences: readonly Sentence[], index: number): Cut {
  const { part, start, end, text } = sentences[index] as Sentence;
  const previous = sentences[index - 1];
  const isLast = sentences[index + 1]?.part !== part;
  if (!isLast || previous?.part !== part) return { part, start, end };
  const blanksBefore = previous.text.length - previous.text.trimEnd().length;
  return { part, start: start - blanksBefore, end: start + text.trimEnd().length };
}

/** A context without a stretch of one part. Places in the file are those of the text alone: `fileStart` and `fileOffsets` are gone. */
export function withoutCut(context: ContextSource, cut: Cut): ContextSource {
  const parts = context.parts.map(({ role, text }, index): ContextPart => {
    const kept = index === cut.part ? text.slice(0, cut.start) + text.slice(cut.end) : text;
    return { ...(role === undefined ? {} : { role }), text: kept, fileStart: 0 };
  });
  return { kind: context.kind, parts };
}
