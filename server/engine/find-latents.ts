/**
 * Reads examples and finds the latents that tell two sets of them apart: each context once, each example as the tokens
 * within its range, BOS and position 0 left out (their activations are of another size, and say nothing of the text).
 */
import { type ExampleRows, findLatents } from "../analysis/finding/find-latents.ts";
import { UserError } from "../base/errors.ts";
import { printHookPoint } from "../lm/hook-points.ts";
import type { ContextSource } from "../protocol/context.ts";
import type { FindExample, FindParams, FindPool, FoundLatents } from "../protocol/find.ts";
import type { ContextReading } from "../protocol/reader.ts";
import { SparseRows } from "../sae/sparse-acts.ts";
import { fileOffset } from "../text/contexts.ts";
import type { LoadedSae } from "./loaded.ts";
import {
  leadingBos,
  readContext,
  type ReadingState,
  rowsFrom,
  streamName,
  windowIds,
} from "./read-context.ts";
import { windowsOf } from "./windows.ts";

/** Name of the stream that contexts are read in, one after the other. */
const stream = "find";

/** How the work is done. */
export interface FindWork {
  /** Runs a piece on the device, between others' pieces. */
  readonly step: <T>(job: () => Promise<T>) => Promise<T>;
  readonly onProgress: (text: string, fraction: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Reads all examples, then ranks latents. */
export async function readAndFind(
  state: Omit<ReadingState, "saes"> & { readonly sae: LoadedSae },
  params: Omit<FindParams, "lm" | "sae" | "progress">,
  { step, onProgress, signal }: FindWork,
): Promise<FoundLatents> {
  const { sae } = state;
  const { contexts, examples, pool, seed, most } = params;
  const d = sae.info.d_in;
  const acts = new SparseRows(examples.length);
  const x = new Float32Array(examples.length * d);
  let empty = 0;
  for (const [context, source] of contexts.entries()) {
    const own = examples.flatMap((example, row) =>
      example.context === context ? [{ example, row }] : [],
    );
    if (own.length === 0) continue;
    onProgress(
      `reading example ${own[0]!.row + 1} of ${examples.length}`,
      context / contexts.length,
    );
    const read = await step(() => readBoth({ ...state, saes: [sae] }, source, signal));
    for (const { example, row } of own) {
      const tokens = tokensOf(example, source, read.reading);
      if (tokens.length === 0) empty++;
      const pooled = pooledActs(read.reading.saes[sae.id]!, tokens, pool);
      acts.set(row, pooled.latents, pooled.acts);
      for (const token of tokens) {
        const vector = read.rowOf(token);
        for (let at = 0; at < d; at++) x[row * d + at]! += vector[at]! / tokens.length;
      }
    }
  }
  if (empty > 0)
    throw new UserError(
      "empty-examples",
      `${empty} of ${examples.length} examples hold no token beside the first of their context: nothing can be said of them; take longer ones`,
    );
  const positive = Uint8Array.from(examples, (it) => Number(it.positive));
  const rows: ExampleRows = { acts: acts.finish(), x, d, positive };
  const found = findLatents(rows, { d_sae: sae.info.d_sae, seed, most });
  return { sae: sae.id, pool, ...found };
}

/** A context's latents, and the vectors that the SAE read. */
async function readBoth(
  state: ReadingState,
  source: ContextSource,
  signal?: AbortSignal,
): Promise<{ reading: ContextReading; rowOf: (token: number) => Float32Array }> {
  const { lm, lmId, streams, saes } = state;
  const [sae] = saes;
  const hook = sae!.hook;
  const reading = await readContext(state, { stream, context: source }, signal);
  const { tokens } = reading;
  const nBos = leadingBos(tokens);
  const windows: Float32Array[] = [];
  for (const [index, at] of windowsOf(tokens.ids.length, nBos, lm.config.n_ctx).entries()) {
    const kept = streams.get(streamName(stream, sae!.info.prependBos, index), lmId, lm);
    // What was just read is kept, unless there was no room for it.
    kept.setIds(windowIds(tokens.ids, nBos, at));
    const rows = rowsFrom((await kept.stream.read([hook], signal)).get(printHookPoint(hook)), 0);
    // The stream's own memory is overwritten by the next context.
    windows.push(rows.data.slice());
  }
  const d = sae!.info.d_in;
  const rowOf = (token: number): Float32Array => {
    const at = reading.position[token]! * d;
    return windows[reading.window[token]!]!.subarray(at, at + d);
  };
  return { reading, rowOf };
}

/** Tokens of the text that overlap the example. */
function tokensOf(
  { startOffset = 0, endOffset = Number.POSITIVE_INFINITY }: FindExample,
  source: ContextSource,
  { tokens, position }: ContextReading,
): number[] {
  const found: number[] = [];
  for (let token = 0; token < tokens.ids.length; token++) {
    const part = tokens.part[token]!;
    if (part < 0 || position[token] === 0) continue;
    const from = fileOffset(source, part, tokens.start[token]!);
    const to = fileOffset(source, part, tokens.end[token]!);
    if (to > startOffset && from < endOffset) found.push(token);
  }
  return found;
}

/** Largest or mean |activation| over the tokens. */
function pooledActs(
  { offsets, latents, acts }: ContextReading["saes"][string],
  tokens: readonly number[],
  pool: FindPool,
): { latents: Int32Array; acts: Float32Array } {
  const pooled = new Map<number, number>();
  for (const token of tokens)
    for (let at = offsets[token]!; at < offsets[token + 1]!; at++) {
      const [latent, act] = [latents[at]!, Math.abs(acts[at]!)];
      const before = pooled.get(latent) ?? 0;
      pooled.set(latent, pool === "max" ? Math.max(before, act) : before + act / tokens.length);
    }
  const sorted = [...pooled].toSorted(([, a], [, b]) => b - a);
  return {
    latents: Int32Array.from(sorted, ([latent]) => latent),
    acts: Float32Array.from(sorted, ([, act]) => act),
  };
}
