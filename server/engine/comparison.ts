/** The reader's `compare` and `counterfactual`: texts read one after the other in one stream, so that what they begin with is read once. */
import { compareRows, type SideReading } from "../analysis/comparison/compare-rows.ts";
import { cellsOf, sameTokens, sentenceOfTokens } from "../analysis/comparison/left-out.ts";
import { UserError } from "../base/errors.ts";
import type {
  CompareParams,
  ComparisonReading,
  CounterfactualCell,
  CounterfactualParams,
  CounterfactualReading,
} from "../protocol/comparison.ts";
import type { ContextSource } from "../protocol/context.ts";
import type { ContextReading } from "../protocol/reader.ts";
import { align, type Alignment } from "../text/align.ts";
import { cutOf, sentencesOf, withoutCut } from "../text/sentences.ts";
import type { CausalState } from "./attribution.ts";
import type { LoadedSae } from "./loaded.ts";
import { readContext } from "./read-context.ts";
import type { StreamCache } from "./streams.ts";

/** What texts are compared with. */
export interface ComparisonState extends Omit<CausalState, "sae" | "meta"> {
  readonly lmId: string;
  readonly sae: LoadedSae;
  readonly streams: StreamCache;
}

/** Sentences that are left out one by one at most; each is one more reading, and a row of the map, which has 5,000 cells then. */
const maxSentences = 100;

/** Answers `compare`. */
export async function readComparison(
  state: ComparisonState,
  params: CompareParams,
): Promise<ComparisonReading> {
  const { sae } = state;
  await state.onStep("reading the first text", 0);
  const before = await read(state, params.before);
  await state.onStep("reading the second text", 0.5);
  const after = await read(state, params.after);
  const alignment = align(before.tokens.ids, after.tokens.ids);
  const found = compareRows(
    sideOf(before, sae),
    sideOf(after, sae),
    rowsOf(before, after, alignment),
    {
      sharedOnly: params.tokens === "shared",
      top: params.top,
      topPerToken: params.topPerToken,
    },
  );
  const problems = [...before.problems, ...after.problems];
  if (!alignment.complete)
    problems.push(
      "the texts differ so much that only what they begin and end with in common was aligned",
    );
  if ([before, after].some((it) => it.window.some((window) => window > 0)))
    problems.push(
      "a text is longer than the model's context: an edit also moves where its windows begin, and what changes behind that is no effect of the edit alone",
    );
  return {
    sae: sae.id,
    hook: sae.info.hook,
    before: before.tokens,
    after: after.tokens,
    ...found,
    problems: [...new Set(problems)],
  };
}

/** Answers `counterfactual`. */
export async function readCounterfactual(
  state: ComparisonState,
  { context, top }: CounterfactualParams,
): Promise<CounterfactualReading> {
  const { sae, lm } = state;
  const sentences = sentencesOf(context);
  if (sentences.length < 2) throw oneSentence();
  if (sentences.length > maxSentences) throw manySentences(sentences.length);
  await state.onStep("reading the whole text", 0);
  const whole = await read(state, context);
  const { length } = whole.tokens.ids;
  if (length > lm.config.n_ctx) throw tooLong(length, lm.config.n_ctx);
  const of = { ...sideOf(whole, sae), sentences: sentenceOfTokens(whole.tokens, sentences) };
  const problems = new Set(whole.problems);
  const byLeftOut: CounterfactualCell[][] = [];
  // From the end: what stands before the sentence is then what the stream begins with already. After the last nothing is left to change.
  for (let leftOut = sentences.length - 2; leftOut >= 0; leftOut--) {
    const done = (sentences.length - 1 - leftOut) / sentences.length;
    await state.onStep(`without sentence ${leftOut + 1} of ${sentences.length}`, done);
    const cut = cutOf(sentences, leftOut);
    const shorter = await read(state, withoutCut(context, cut));
    for (const problem of shorter.problems) problems.add(problem);
    const same = sameTokens(whole.tokens, shorter.tokens, cut);
    const size = { nSentences: sentences.length, top };
    byLeftOut.unshift(cellsOf(leftOut, of, { ...sideOf(shorter, sae), same }, size));
  }
  return {
    sae: sae.id,
    hook: sae.info.hook,
    tokens: whole.tokens,
    sentences,
    cells: byLeftOut.flat(),
    problems: [...problems],
  };
}

function read(
  { lmId, lm, sae, streams, signal }: ComparisonState,
  context: ContextSource,
): Promise<ContextReading> {
  const params = { stream: "comparison#", context };
  return readContext({ lmId, lm, saes: [sae], streams }, params, signal);
}

function sideOf({ saes, position }: ContextReading, { id }: LoadedSae): SideReading {
  return { sae: saes[id]!, position };
}

/** All tokens of both texts in order; between two shared ones those of the first text come first. */
function rowsOf(
  before: ContextReading,
  after: ContextReading,
  { pairs }: Alignment,
): { before?: number; after?: number }[] {
  const rows: { before?: number; after?: number }[] = [];
  let [a, b] = [0, 0];
  for (const [x, y] of [...pairs, [before.tokens.ids.length, after.tokens.ids.length] as const]) {
    while (a < x) rows.push({ before: a++ });
    while (b < y) rows.push({ after: b++ });
    if (x < before.tokens.ids.length && y < after.tokens.ids.length)
      rows.push({ before: a++, after: b++ });
  }
  return rows;
}

function oneSentence(): UserError {
  return new UserError(
    "one-sentence",
    "the text has fewer than two sentences: there is nothing to leave out that another sentence could depend on",
  );
}

function manySentences(found: number): UserError {
  return new UserError(
    "many-sentences",
    `the text has ${found} sentences, and each that is left out is one more reading: at most ${maxSentences}; divide the file into contexts (latentWorkbench.contexts: paragraphs or blocks)`,
  );
}

function tooLong(tokens: number, n_ctx: number): UserError {
  return new UserError(
    "text-too-long",
    `the text has ${tokens} tokens and the model reads ${n_ctx}: divide the file into contexts (latentWorkbench.contexts: paragraphs or blocks)`,
  );
}
