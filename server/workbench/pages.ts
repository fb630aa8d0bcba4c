/** Answers of the workbench to pages and to the editor's client, by the table `PageMethods`. */
import { UserError } from "../base/errors.ts";
import { downloadFromHub } from "../files/hub.ts";
import type {
  HeatMode,
  HeatSpan,
  PageMethods,
  PageSae,
  PageToken,
  TextOverview,
} from "../protocol/page.ts";
import { tokenFlags } from "../protocol/context.ts";
import type { ContextReading, PredictionReading, SaeInfo } from "../protocol/reader.ts";
import { readerInfoText } from "../protocol/reader-info-text.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { absorptionHandlers } from "./absorption-handlers.ts";
import { available } from "./available.ts";
import { causeHandlers } from "./cause-handlers.ts";
import { comparisonHandlers } from "./comparison-handlers.ts";
import { decoderHandlers } from "./decoder-handlers.ts";
import { decompositionHandlers } from "./decomposition-handlers.ts";
import type { ContextState, OpenDocument } from "./documents.ts";
import { explainHandlers } from "./explain-handlers.ts";
import { exportHandlers } from "./export-handlers.ts";
import { explorerHandlers } from "./explorer-handlers.ts";
import { findHandlers } from "./find-handlers.ts";
import { heatAt, type Heat, heatOf } from "./heat.ts";
import { labelOf } from "./labels.ts";
import type { ModelSet } from "./models.ts";
import { LineStarts } from "../text/line-starts.ts";
import { occurrenceHandlers } from "./occurrence-handlers.ts";
import { pinMarks, pinSpans } from "./pin-heat.ts";
import { pin, shownPins, unpin } from "./pins.ts";
import { contextAt, tokenAt, tokenRange } from "./positions.ts";
import { runHandlers } from "./runs-handlers.ts";
import { readSweep } from "./sweep-folder.ts";
import { latentsAt } from "./token-card.ts";
import { runToyProcess } from "./toy-process.ts";
import type { Workbench } from "./workbench.ts";

/** What pages need from the surroundings of the workbench. */
export interface PageSurroundings {
  /** Runs work that takes longer than a second with a progress bar and a cancel button. */
  withProgress<T>(
    title: string,
    signal: AbortSignal,
    work: (report: (text: string, fraction?: number) => void, signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

/** The handlers of the table over a workbench. */
export function pageHandlers(
  workbench: Workbench,
  surroundings: PageSurroundings,
): Handlers<PageMethods> {
  return {
    ...runHandlers(workbench),
    ...explorerHandlers(workbench),
    ...exportHandlers(workbench),
    ...explainHandlers(workbench),
    ...findHandlers(workbench, surroundings),
    ...decoderHandlers(workbench),
    ...absorptionHandlers(workbench, surroundings),
    openSweep: ({ folder }) => readSweep(folder),
    ...occurrenceHandlers(workbench),
    ...decompositionHandlers(workbench),
    runToy: (knobs, signal) =>
      surroundings.withProgress("Toy model", signal, (report, cancelled) =>
        runToyProcess(workbench.options.runProgram, knobs, {
          signal: cancelled,
          onProgress: ({ step, steps, loss }) =>
            report(`step ${step} of ${steps}, loss ${loss.toPrecision(3)}`, step / steps),
        }),
      ),
    ...causeHandlers(workbench, surroundings),
    ...comparisonHandlers(workbench, surroundings),
    overview: ({ uri }) => overview(workbench, uri),
    tokens: (params, signal) => tokens(workbench, params, signal),
    tokenCard: async ({ uri, context, index, sae: id, top }, signal) => {
      const document = workbench.document(uri);
      const { state, reading, set, sae } = await workbench.reading(document, context, id, signal);
      const place = { version: document.version, context, state, reading, index };
      return workbench.card(place, { set, sae, top }, signal);
    },
    predictions: async ({ uri, context, index }, signal) => {
      const document = workbench.document(uri);
      const found = await predictionsOf(workbench, document, context, signal);
      const loss = found.nextTokenLoss[index] ?? Number.NaN;
      return {
        nextTokenLoss: Number.isNaN(loss) ? null : loss,
        top: Array.from({ length: found.k }, (_, rank) => ({
          text: found.topTexts[index * found.k + rank] ?? "",
          probability: found.topProbabilities[index * found.k + rank] ?? 0,
        })),
      };
    },
    tokenAt: async ({ uri, offset }, signal) => {
      const document = workbench.document(uri);
      const context = workbench.isOn(document) ? contextAt(document, offset) : undefined;
      if (context === undefined) return null;
      const { state, reading } = await workbench.reading(document, context, undefined, signal);
      const index = tokenAt(state.source, reading.tokens, offset);
      return index === undefined ? null : { context, index };
    },
    select: ({ uri, startOffset, endOffset }) => {
      const document = workbench.document(uri);
      document.selection = endOffset > startOffset ? { startOffset, endOffset } : undefined;
      return null;
    },
    pin: (latent) => {
      pin(workbench, latent);
      return null;
    },
    unpin: (latent) => {
      unpin(workbench, latent);
      return null;
    },
    pins: () => ({ pins: shownPins(workbench) }),
    pinMarks: async ({ uri }, signal) => {
      const document = workbench.document(uri);
      const { version } = document;
      const on = workbench.isOn(document) && workbench.pinned.length > 0;
      return { version, marks: on ? await pinMarks(workbench, document, signal) : [] };
    },
    status: ({ uri }) => workbench.status(workbench.document(uri)),
    switchFile: ({ uri, on }) => {
      workbench.switchFile(uri, on);
      return null;
    },
    heat: (params, signal) => heat(workbench, params, signal),
    available: () => available(workbench),
    use: (choice) => {
      workbench.use(choice);
      return null;
    },
    download: ({ repo, revision, files, token }, signal) => {
      if (!workbench.options.trusted) throw notTrusted("nothing is downloaded");
      return surroundings.withProgress(
        `Downloading ${repo}`,
        signal,
        async (report, cancelled) => ({
          folder: await downloadFromHub({
            repo,
            ...(revision ? { revision } : {}),
            ...(files ? { files } : {}),
            ...(token ? { token } : {}),
            signal: cancelled,
            onProgress: ({ file, done, total }) => report(file, total ? done / total : undefined),
          }),
        }),
      );
    },
    restartReader: ({ reason }) => {
      workbench.restartReader(reason);
      return null;
    },
    doctor: async (_, signal) => ({
      text: readerInfoText(await workbench.reader.call("probe", {}, signal)),
    }),
  };
}

function notTrusted(what: string): UserError {
  return new UserError(
    "not-trusted",
    `${what} in a workspace that you do not trust; trust it first`,
  );
}

async function overview(workbench: Workbench, uri: string): Promise<TextOverview> {
  const document = workbench.document(uri);
  const status = workbench.status(document);
  const set = workbench.models.ready(workbench.choiceFor(document));
  const contexts = document.contexts.map((state, index) => ({
    index,
    title: state.title,
    tokens: [...state.readings.values()][0]?.value?.tokens.ids.length ?? 0,
  }));
  const notes = document.contexts.flatMap(
    (state) => [...state.readings.values()][0]?.value?.problems ?? [],
  );
  const problems = [...document.problems.map((it) => it.text), ...notes];
  if (status.state === "failed") problems.unshift(status.text);
  return {
    uri,
    version: document.version,
    ...(set ? { lm: set.lm.id } : {}),
    saes: set?.saes.map((sae) => pageSae(workbench, sae)) ?? [],
    device: workbench.device,
    contexts,
    pinned: shownPins(workbench),
    problems,
    state: status.state,
  };
}

function pageSae(workbench: Workbench, sae: SaeInfo): PageSae {
  const check = workbench.models.selfCheck(sae.id);
  return {
    id: sae.id,
    hook: sae.hook,
    d_sae: sae.d_sae,
    badges: [...sae.badges, ...(check?.warnings ?? [])],
    ...(check
      ? {
          selfCheck: {
            tokens: check.tokens,
            l0: check.l0,
            fvu: check.fvu,
            deadShare: check.deadShare,
            warnings: check.warnings,
          },
        }
      : {}),
  };
}

async function tokens(
  workbench: Workbench,
  params: Parameters<PageMethods["tokens"]>[0],
  signal: AbortSignal,
): Promise<ReturnType<PageMethods["tokens"]>> {
  const { uri, context, mode } = params;
  const document = workbench.document(uri);
  const found = await workbench.reading(document, context, params.sae, signal);
  const predictions =
    mode === "loss" ? await predictionsOf(workbench, document, context, signal) : undefined;
  const colours = heatFor(workbench, found, mode, predictions);
  const last = Math.min(params.to, found.reading.tokens.ids.length);
  const list: PageToken[] = [];
  for (let index = Math.max(0, params.from); index < last; index++)
    list.push(pageToken(workbench, found, colours, index));
  const { min, max, unit } = colours;
  return { version: document.version, tokens: list, scale: { min, max, unit } };
}

type Found = { state: ContextState; reading: ContextReading; set: ModelSet; sae: SaeInfo };

function pageToken(workbench: Workbench, found: Found, colours: Heat, index: number): PageToken {
  const { state, reading, sae } = found;
  const flags = reading.tokens.flags[index] ?? 0;
  const value = colours.values[index] ?? Number.NaN;
  const text = reading.tokens.texts[index] ?? "";
  const pin = workbench.pinned.find((it) => it.colour === colours.colours?.[index]);
  const [top] = latentsAt(reading, sae.id, index, 1);
  const label = top && (labelOf(workbench.latentsFile, sae, top.latent) ?? `latent ${top.latent}`);
  return {
    index,
    id: reading.tokens.ids[index] ?? 0,
    text,
    special: (flags & tokenFlags.special) !== 0,
    inserted: (flags & tokenFlags.inserted) !== 0,
    heat: heatAt(colours, index),
    ...(colours.colours?.[index] ? { colour: colours.colours[index] } : {}),
    value: Number.isNaN(value) ? null : value,
    ...tokenRange(state.source, reading.tokens, index),
    description: `${JSON.stringify(text)}, token ${index + 1} of ${reading.tokens.ids.length}, ${
      top ? `strongest ${label} at ${top.activation.toPrecision(3)}` : "no latent active"
    }${pin ? `, pinned #${pin.latent} at ${value.toPrecision(3)}` : ""}`,
  };
}

function heatFor(
  workbench: Workbench,
  { reading, sae }: Found,
  mode: HeatMode,
  predictions?: PredictionReading,
): Heat {
  return heatOf(mode, {
    reading,
    sae: sae.id,
    pinned: workbench.pinned,
    maxActivation: (latent) => workbench.models.maxActivation(sae.id, latent),
    ...(predictions ? { predictions } : {}),
  });
}

async function predictionsOf(
  workbench: Workbench,
  document: OpenDocument,
  context: number,
  signal: AbortSignal,
): Promise<PredictionReading> {
  const { state, set } = await workbench.reading(document, context, undefined, signal);
  return workbench.analyses.predictions(document, state, set, signal);
}

async function heat(
  workbench: Workbench,
  { uri, fromLine, toLine, mode }: Parameters<PageMethods["heat"]>[0],
  signal: AbortSignal,
): Promise<ReturnType<PageMethods["heat"]>> {
  const document = workbench.document(uri);
  const version = document.version;
  if (!workbench.isOn(document)) return { version, spans: [] };
  const lines = new LineStarts(document.text);
  const from = lines.startOf(fromLine);
  const to = lines.startOf(toLine + 1);
  if (mode === "pinned")
    return { version, spans: await pinSpans(workbench, document, { from, to }, signal) };
  const spans: HeatSpan[] = [];
  for (const [context, { source }] of document.contexts.entries()) {
    const first = source.parts[0]?.fileStart ?? 0;
    const next = document.contexts[context + 1]?.source.parts[0]?.fileStart;
    if (first >= to || (next !== undefined && next <= from)) continue;
    const found = await workbench.reading(document, context, undefined, signal);
    const predictions =
      mode === "loss" ? await predictionsOf(workbench, document, context, signal) : undefined;
    const colours = heatFor(workbench, found, mode, predictions);
    for (let index = 0; index < found.reading.tokens.ids.length; index++) {
      const range = tokenRange(found.state.source, found.reading.tokens, index);
      const share = heatAt(colours, index);
      if (!range || share === 0 || range.endOffset <= from || range.startOffset >= to) continue;
      const start = lines.position(range.startOffset);
      const end = lines.position(range.endOffset);
      spans.push({
        startLine: start.line,
        startCharacter: start.character,
        endLine: end.line,
        endCharacter: end.character,
        heat: share,
        value: colours.values[index] ?? 0,
      });
    }
  }
  return { version, spans };
}
