/** Answers about texts beside each other, by the table `ComparisonMethods`: the reader's, with labels and ranges of the files. */
import { UserError } from "../base/errors.ts";
import type {
  ComparedText,
  ComparedTokenView,
  CompareTexts,
  ComparisonMethods,
  ComparisonView,
  CounterfactualText,
  CounterfactualView,
} from "../protocol/comparison.ts";
import type { ContextSource, ContextTokens } from "../protocol/context.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { fileOffset } from "../text/contexts.ts";
import { pairContexts, stateOfPair } from "../text/pair-contexts.ts";
import { checkLength } from "./analyses.ts";
import { type ContextState, OpenDocument } from "./documents.ts";
import { labelsOf } from "./labels.ts";
import type { ModelSet } from "./models.ts";
import type { PageSurroundings } from "./pages.ts";
import { tokenRange } from "./positions.ts";
import type { Workbench } from "./workbench.ts";

/** Latents that are shown over a whole text (of each kind), at a token, and in a cell of the map. */
const shown = { text: 50, token: 12, cell: 10 } as const;

/** The handlers over a workbench. */
export function comparisonHandlers(
  workbench: Workbench,
  surroundings: PageSurroundings,
): Handlers<ComparisonMethods> {
  return {
    compareTexts: (params, signal) =>
      surroundings.withProgress("Comparing latents", signal, (report, cancelled) =>
        compareTexts(workbench, params, report, cancelled),
      ),
    counterfactualText: (params, signal) =>
      surroundings.withProgress("Leaving out sentences", signal, (report, cancelled) =>
        counterfactualText(workbench, params, report, cancelled),
      ),
  };
}

type Report = (text: string, fraction?: number) => void;

async function compareTexts(
  workbench: Workbench,
  params: CompareTexts,
  report: Report,
  signal: AbortSignal,
): Promise<ComparisonView> {
  const before = documentOf(workbench, params.before);
  const after = documentOf(workbench, params.after);
  const paired = pairContexts(sourcesOf(before), sourcesOf(after));
  const pairs = paired.map((pair) => ({
    title: (after.contexts[pair.after ?? -1] ?? before.contexts[pair.before ?? -1])?.title ?? "",
    state: stateOfPair(pair),
  }));
  const changed = pairs.findIndex(({ state }) => state === "changed");
  const chosen = params.pair ?? Math.max(0, changed);
  const [a, b] = [
    before.contexts[paired[chosen]?.before ?? -1],
    after.contexts[paired[chosen]?.after ?? -1],
  ];
  if (!a || !b) throw nothingBeside(pairs[chosen]);
  const set = await workbench.modelsOf(after);
  const sae = saeOf(set, params.sae);
  for (const state of [a, b]) checkLength(state, workbench.settings.maxContextCharacters);
  const found = await workbench.reader.callWithProgress(
    "compare",
    {
      lm: set.lm.id,
      sae: sae.id,
      before: a.source,
      after: b.source,
      tokens: params.tokens,
      top: shown.text,
      topPerToken: shown.token,
    },
    report,
    signal,
  );
  const atTokens = found.rows.flatMap((row) => row.latents);
  return {
    ...found,
    lm: set.lm.id,
    saes: set.saes.map(({ id }) => id),
    pairs,
    pair: chosen,
    before: tokensOf(a.source, found.before),
    after: tokensOf(b.source, found.after),
    labels: labelsOf(workbench, sae, [...found.latents, ...atTokens]),
    problems: [...new Set([...problemsOf(before), ...problemsOf(after), ...found.problems])],
  };
}

async function counterfactualText(
  workbench: Workbench,
  params: CounterfactualText,
  report: Report,
  signal: AbortSignal,
): Promise<CounterfactualView> {
  const document = workbench.document(params.uri);
  const state = document.contexts[params.context];
  if (!state)
    throw new UserError(
      "no-context",
      `there is no context ${params.context + 1}: the document has ${document.contexts.length}`,
    );
  const { source } = state;
  const contexts = document.contexts.map(({ title }) => title);
  const set = await workbench.modelsOf(document);
  const sae = saeOf(set, params.sae);
  checkLength(state, workbench.settings.maxContextCharacters);
  const found = await workbench.reader.callWithProgress(
    "counterfactual",
    { lm: set.lm.id, sae: sae.id, context: source, top: shown.cell },
    report,
    signal,
  );
  return {
    ...found,
    uri: params.uri,
    lm: set.lm.id,
    saes: set.saes.map(({ id }) => id),
    contexts,
    tokens: tokensOf(source, found.tokens),
    sentences: found.sentences.map(({ part, start, end, text }) => ({
      text,
      startOffset: fileOffset(source, part, start),
      endOffset: fileOffset(source, part, end),
    })),
    labels: labelsOf(
      workbench,
      sae,
      found.cells.flatMap(({ latents }) => latents),
    ),
  };
}

/** A text as a document that nobody opened: cut into contexts as the editor's are. */
function documentOf({ settings }: Workbench, { uri, text }: ComparedText): OpenDocument {
  const document = new OpenDocument(uri);
  document.update(1, text, settings.contexts);
  return document;
}

function sourcesOf({ contexts }: OpenDocument): ContextSource[] {
  return contexts.map((state: ContextState) => state.source);
}

function problemsOf({ problems }: OpenDocument): string[] {
  return problems.map(({ text }) => text);
}

/** The SAE of a name, else the first that reads text. */
function saeOf({ saes }: ModelSet, name: string | undefined): SaeInfo {
  return saes.find(({ id }) => id === name) ?? (saes[0] as SaeInfo);
}

function tokensOf(source: ContextSource, tokens: ContextTokens): ComparedTokenView[] {
  return Array.from(tokens.ids, (id, index) => ({
    id,
    text: tokens.texts[index] ?? "",
    ...tokenRange(source, tokens, index),
  }));
}

function nothingBeside(pair: { title: string; state: string } | undefined): UserError {
  const what = pair ? `${pair.title || "this context"} was ${pair.state}` : "there is no text";
  return new UserError("nothing-beside", `${what}: there is nothing to compare it with`);
}
