/** `latent-workbench inspect`: a file read as the editor reads it, as data. */
import { basename } from "node:path";
import { UserError } from "../../base/errors.ts";
import { readText } from "../../files/disk.ts";
import { type ContextSource, type ContextTokens, tokenFlags } from "../../protocol/context.ts";
import type { ContextReading, LmInfo, SaeInfo, SelfCheck } from "../../protocol/reader.ts";
import { fileOffset, readContexts } from "../../text/contexts.ts";
import { LineStarts, type Position } from "../../text/line-starts.ts";
import type { Engine } from "../engine.ts";

/** What to read. */
export interface InspectOptions {
  readonly file: string;
  readonly lm: string;
  readonly saes: readonly string[];
  readonly top: number;
  readonly contexts?: "file" | "blocks" | "paragraphs" | "lines";
  readonly selfCheck: boolean;
  readonly signal: AbortSignal;
}

/** A latent at a token. */
interface InspectedLatent {
  readonly latent: number;
  readonly activation: number;
  readonly label?: string;
}

/** What an SAE reads at a token. `squaredError` is Σ_d (x − x_hat)² in the model's own units. */
export interface InspectedSae {
  readonly l0: number;
  readonly squaredError: number;
  readonly inputNorm: number;
  readonly top: readonly InspectedLatent[];
}

/**
 * A token; offsets are UTF-16 code units of the file. A token that BOS policy or template put in has an empty range
 * where it stands.
 */
export interface InspectedToken {
  readonly index: number;
  readonly context: number;
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  readonly inserted: boolean;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly start: Position;
  readonly end: Position;
  /** 1-based number of the token's first byte within its character, where it does not begin at one. */
  readonly byteOfCharacter?: number;
  readonly bytesInCharacter?: number;
  readonly saes: Readonly<Record<string, InspectedSae>>;
}

/** The answer of `inspect --json`. */
export interface Inspection {
  readonly schemaVersion: 1;
  readonly lm: LmInfo;
  readonly saes: readonly {
    id: string;
    hook: string;
    badges: readonly string[];
    selfCheck?: SelfCheckSummary;
  }[];
  readonly tokens: readonly InspectedToken[];
  readonly problems: readonly string[];
}

type SelfCheckSummary = Omit<SelfCheck, "denseLatents" | "maxActivation">;

/** Reads a file through a model and SAEs. */
export async function inspect(engine: Engine, options: InspectOptions): Promise<Inspection> {
  const text = readText(options.file);
  const lm = await engine.loadLm({ path: options.lm });
  const saes: SaeInfo[] = [];
  for (const path of options.saes) saes.push(await engine.loadSae({ path, lm: lm.id }));
  const readable = saes.filter((sae) => !sae.metaOf);
  if (readable.length === 0)
    throw new UserError(
      "no-sae",
      `none of the given SAEs reads text (${saes.map((it) => it.id).join(", ") || "none given"}); give one with --sae`,
    );
  const { contexts, problems } = readContexts({
    name: basename(options.file),
    text,
    ...(options.contexts ? { rule: options.contexts } : {}),
  });
  const lines = new LineStarts(text);
  const tokens: InspectedToken[] = [];
  const said = new Set(problems.map((it) => it.text));
  for (const [context, source] of contexts.entries()) {
    const readings: { reading: ContextReading; saes: SaeInfo[] }[] = [];
    for (const prependBos of new Set(readable.map((sae) => sae.prependBos))) {
      const group = readable.filter((sae) => sae.prependBos === prependBos);
      const reading = await engine.analyse(
        {
          stream: `inspect#${context}`,
          lm: lm.id,
          saes: group.map((it) => it.id),
          context: source,
        },
        options.signal,
      );
      for (const problem of reading.problems) said.add(problem);
      readings.push({ reading, saes: group });
    }
    tokens.push(...inspectedTokens({ context, source, lines, top: options.top }, readings));
  }
  const summaries = [];
  for (const { id, hook, badges, metaOf } of saes) {
    const checkable = options.selfCheck && (!metaOf || saes.some((it) => it.id === metaOf));
    const check = checkable
      ? await engine.selfCheck({ sae: id, lm: lm.id }, options.signal)
      : undefined;
    summaries.push({ id, hook, badges, ...(check ? { selfCheck: summaryOf(check) } : {}) });
  }
  return { schemaVersion: 1, lm, saes: summaries, tokens, problems: [...said] };
}

interface Place {
  readonly context: number;
  readonly source: ContextSource;
  readonly lines: LineStarts;
  readonly top: number;
}

/**
 * Tokens of one context with every group's figures. Groups differ only in a BOS in front, so the longest
 * reading gives the tokens and the others are aligned at their ends.
 */
function inspectedTokens(
  place: Place,
  readings: readonly { reading: ContextReading; saes: SaeInfo[] }[],
): InspectedToken[] {
  const longest = readings.reduce((a, b) =>
    b.reading.tokens.ids.length > a.reading.tokens.ids.length ? b : a,
  );
  const { tokens } = longest.reading;
  return Array.from(tokens.ids, (id, index) => {
    const { startOffset, endOffset } = rangeOf(place.source, tokens, index);
    const byte = tokens.byteOfCharacter[index] ?? 0;
    const flags = tokens.flags[index] ?? 0;
    const saes: Record<string, InspectedSae> = {};
    for (const { reading, saes: group } of readings) {
      const at = index - (tokens.ids.length - reading.tokens.ids.length);
      for (const sae of at < 0 ? [] : group)
        saes[sae.id] = inspectedSae(reading, sae, at, place.top);
    }
    return {
      index,
      context: place.context,
      id,
      text: tokens.texts[index] ?? "",
      special: (flags & tokenFlags.special) !== 0,
      inserted: (flags & tokenFlags.inserted) !== 0,
      startOffset,
      endOffset,
      start: place.lines.position(startOffset),
      end: place.lines.position(endOffset),
      ...(byte > 0
        ? { byteOfCharacter: byte, bytesInCharacter: tokens.bytesInCharacter[index] ?? 0 }
        : {}),
      saes,
    };
  });
}

/** Range of a token; for an inserted one the empty range before the next token of the file, or after the last. */
function rangeOf(
  source: ContextSource,
  tokens: ContextTokens,
  index: number,
): { startOffset: number; endOffset: number } {
  const at = (token: number, offsets: Int32Array): number =>
    fileOffset(source, tokens.part[token] ?? 0, offsets[token] ?? 0);
  if ((tokens.part[index] ?? -1) >= 0)
    return { startOffset: at(index, tokens.start), endOffset: at(index, tokens.end) };
  const next = tokens.part.findIndex((part, token) => token > index && part >= 0);
  const last = tokens.part.findLastIndex((part) => part >= 0);
  const place =
    next >= 0
      ? at(next, tokens.start)
      : last >= 0
        ? at(last, tokens.end)
        : (source.parts[0]?.fileStart ?? 0);
  return { startOffset: place, endOffset: place };
}

function inspectedSae(
  reading: ContextReading,
  sae: SaeInfo,
  index: number,
  top: number,
): InspectedSae {
  const row = reading.saes[sae.id];
  const from = row?.offsets[index] ?? 0;
  const l0 = (row?.offsets[index + 1] ?? 0) - from;
  return {
    l0,
    squaredError: row?.squaredError[index] ?? 0,
    inputNorm: row?.inputNorm[index] ?? 0,
    top: Array.from({ length: Math.min(l0, top) }, (_, rank) => {
      const latent = row?.latents[from + rank] ?? 0;
      const label = sae.labels[latent];
      return {
        latent,
        activation: row?.acts[from + rank] ?? 0,
        ...(label === undefined ? {} : { label }),
      };
    }),
  };
}

function summaryOf(check: SelfCheck): SelfCheckSummary {
  const { tokens, l0, fvu, fvuWithBos, deadShare, shuffledFvu, warnings } = check;
  const baseline = shuffledFvu === undefined ? {} : { shuffledFvu };
  return { tokens, l0, fvu, fvuWithBos, deadShare, warnings, ...baseline };
}
