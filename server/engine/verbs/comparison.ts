/** `latent-workbench diff` and `latent-workbench counterfactual`: files as the editor reads them, as data. */
import { basename } from "node:path";
import { UserError } from "../../base/errors.ts";
import { readText } from "../../files/disk.ts";
import type {
  ComparedTokens,
  ComparisonReading,
  ContextPair,
  CounterfactualReading,
} from "../../protocol/comparison.ts";
import type { ContextTokens } from "../../protocol/context.ts";
import type { LmInfo, SaeInfo } from "../../protocol/reader.ts";
import { type FileContexts, readContexts } from "../../text/contexts.ts";
import { pairContexts, stateOfPair } from "../../text/pair-contexts.ts";
import type { Engine } from "../engine.ts";

/** What is loaded. */
export interface ComparisonModels {
  readonly lm: LmInfo;
  readonly sae: SaeInfo;
}

type ContextRule = "file" | "blocks" | "paragraphs" | "lines";

/** A token with its range in its part's text, UTF-16; a part of −1 is BOS or a template's. */
export interface PrintedToken {
  readonly id: number;
  readonly text: string;
  readonly part: number;
  readonly start: number;
  readonly end: number;
}

/** A pair of contexts with what latents did. */
export interface DiffedPair
  extends ContextPair, Partial<Omit<ComparisonReading, "before" | "after">> {
  readonly before?: readonly PrintedToken[];
  readonly after?: readonly PrintedToken[];
}

/** The answer of `diff --json`. */
export interface DiffResult {
  readonly schemaVersion: 1;
  readonly lm: string;
  readonly sae: string;
  readonly hook: string;
  readonly pairs: readonly DiffedPair[];
  readonly labels: Readonly<Record<number, string>>;
  readonly problems: readonly string[];
}

/** Compares two files context by context. */
export async function diffFiles(
  engine: Engine,
  asked: ComparisonModels & {
    readonly before: string;
    readonly after: string;
    readonly contexts?: ContextRule;
    readonly tokens: ComparedTokens;
    readonly top: number;
    readonly signal: AbortSignal;
  },
): Promise<DiffResult> {
  const { lm, sae, tokens, top, signal } = asked;
  const [before, after] = [asked.before, asked.after].map((it) => contextsOf(it, asked.contexts));
  const pairs: DiffedPair[] = [];
  for (const pair of pairContexts(before!.contexts, after!.contexts)) {
    const [a, b] = [before!.contexts[pair.before ?? -1], after!.contexts[pair.after ?? -1]];
    const title = after!.titles[pair.after ?? -1] ?? before!.titles[pair.before ?? -1] ?? "";
    const state = stateOfPair(pair);
    if (!a || !b || pair.same) {
      pairs.push({ title, state });
      continue;
    }
    const found = await engine.compare(
      { lm: lm.id, sae: sae.id, before: a, after: b, tokens, top, topPerToken: top },
      signal,
    );
    const sides = { before: printedTokens(found.before), after: printedTokens(found.after) };
    pairs.push({ title, state, ...found, ...sides });
  }
  const latents = pairs.flatMap((it) => it.latents ?? []);
  return {
    schemaVersion: 1,
    lm: lm.id,
    sae: sae.id,
    hook: sae.hook,
    pairs,
    labels: labelsOf(sae, latents),
    problems: [...before!.problems, ...after!.problems].map((it) => it.text),
  };
}

/** The answer of `counterfactual --json`. */
export interface LeftOutResult extends Omit<CounterfactualReading, "tokens"> {
  readonly schemaVersion: 1;
  readonly lm: string;
  readonly tokens: readonly PrintedToken[];
  readonly labels: Readonly<Record<number, string>>;
}

/** Leaves out each sentence of a file's context in turn. */
export async function leaveOut(
  engine: Engine,
  asked: ComparisonModels & {
    readonly file: string;
    readonly contexts?: ContextRule;
    readonly context: number;
    readonly top: number;
    readonly signal: AbortSignal;
  },
): Promise<LeftOutResult> {
  const { lm, sae, top, signal } = asked;
  const { contexts, problems } = contextsOf(asked.file, asked.contexts);
  const context = contexts[asked.context];
  if (!context)
    throw new UserError(
      "no-context",
      `${asked.file} has ${contexts.length} contexts, numbered from 0: there is no ${asked.context}`,
    );
  const params = { lm: lm.id, sae: sae.id, context, top, progress: "verb" };
  const found = await engine.counterfactual(params, signal);
  const latents = found.cells.flatMap((it) => it.latents);
  return {
    schemaVersion: 1,
    lm: lm.id,
    ...found,
    tokens: printedTokens(found.tokens),
    labels: labelsOf(sae, latents),
    problems: [...problems.map((it) => it.text), ...found.problems],
  };
}

function contextsOf(file: string, rule: ContextRule | undefined): FileContexts {
  return readContexts({ name: basename(file), text: readText(file), ...(rule ? { rule } : {}) });
}

function printedTokens({ ids, texts, part, start, end }: ContextTokens): PrintedToken[] {
  return Array.from(ids, (id, token) => ({
    id,
    text: texts[token] ?? "",
    part: part[token] ?? -1,
    start: start[token] ?? 0,
    end: end[token] ?? 0,
  }));
}

function labelsOf(
  { labels }: SaeInfo,
  list: readonly { readonly latent: number }[],
): Record<number, string> {
  const found: Record<number, string> = {};
  for (const { latent } of list) if (labels[latent] !== undefined) found[latent] = labels[latent];
  return found;
}
