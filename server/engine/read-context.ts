/**
 * Reads one context: text to tokens, tokens through the language model to each SAE's hook point, and there
 * through the SAE. The one place where the three meet.
 */
import type { LanguageModel } from "../lm/language-model.ts";
import { type HookPoint, printHookPoint } from "../lm/hook-points.ts";
import type { AnalyseParams, ContextReading, SaeReading } from "../protocol/reader.ts";
import type { TokenAbsorption } from "../protocol/absorption.ts";
import { type ContextTokens, tokenFlags } from "../protocol/context.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { tokenizeContext } from "../text/context-tokens.ts";
import { metaReadsNoText, mixedBosPolicies, widthMismatch } from "./errors.ts";
import type { LiveTasks } from "./absorption/live-tasks.ts";
import type { LoadedSae } from "./loaded.ts";
import { joinRows, type SaeRows, sliceRows } from "./sae-rows.ts";
import type { KeptStream, StreamCache } from "./streams.ts";
import { type Window, windowsOf } from "./windows.ts";

/** What a reading needs that outlives it. */
export interface ReadingState {
  readonly lmId: string;
  readonly lm: LanguageModel;
  readonly saes: readonly LoadedSae[];
  readonly streams: StreamCache;
  /** Says what it can about absorption at the rows of a window. */
  readonly live?: LiveTasks;
}

/**
 * Active latents of every token of a context under each SAE, reusing the stream's KV cache.
 *
 * A token of an overlong context is read in the first window that holds it.
 */
export async function readContext(
  state: ReadingState,
  params: Pick<AnalyseParams, "stream" | "context">,
  signal?: AbortSignal,
): Promise<ContextReading> {
  const { lm, saes } = state;
  const prependBos = bosPolicy(saes);
  const { tokens, problems } = tokenizeContext(lm.tokenizer, params.context, { prependBos });
  const nTokens = tokens.ids.length;
  const nBos = leadingBos(tokens);
  const windows = windowsOf(nTokens, nBos, lm.config.n_ctx);
  if (windows.length > 1)
    problems.push(
      `the context has ${nTokens} tokens, ${lm.info.id} reads ${lm.config.n_ctx}: split into ${windows.length} windows with half overlap`,
    );
  const window = new Int32Array(nTokens);
  const position = new Int32Array(nTokens);
  const readings = new Map(saes.map((sae) => [sae.id, new ReadingBuilder(nTokens)]));
  let reusedTokens = 0;
  for (const [index, at] of windows.entries()) {
    signal?.throwIfAborted();
    const name = streamName(params.stream, prependBos, index);
    const kept = state.streams.get(name, state.lmId, lm);
    reusedTokens += kept.setIds(windowIds(tokens.ids, nBos, at));
    const activations = await kept.stream.read(hooksOf(state), signal);
    const skip = index === 0 ? 0 : at.readFrom - at.from + nBos;
    for (let token = at.readFrom; token < at.to; token++) {
      window[token] = index;
      position[token] = skip + token - at.readFrom;
    }
    for (const sae of saes) {
      const rows = await readRows(sae, kept, activations, signal);
      const target = activations.get(printHookPoint(sae.hookOut ?? sae.hook));
      const reading = readings.get(sae.id);
      reading?.append(rows, rowsFrom(target, 0), { from: skip, leaveOut: index === 0 ? 1 : 0 });
      const x = rowsFrom(activations.get(printHookPoint(sae.hook)), 0).data;
      const ids = windowIds(tokens.ids, nBos, at);
      const judged = state.live?.judge({ lm, sae }, { ids, x, acts: rows.acts, from: skip }) ?? [];
      reading?.judge(judged.map((it) => ({ ...it, token: it.token - skip + at.readFrom })));
    }
  }
  state.streams.trim();
  return {
    tokens,
    window,
    position,
    saes: Object.fromEntries([...readings].map(([id, builder]) => [id, builder.finish()])),
    problems,
    reusedTokens,
  };
}

/** The name under which a window's stream is kept; shared by all SAEs with the same BOS policy. */
export function streamName(stream: string, prependBos: boolean, window: number): string {
  return `${stream}|${prependBos ? "bos" : "no-bos"}|${window}`;
}

/** Ids that the model sees in a window, BOS repeated in front. */
export function windowIds(ids: Int32Array, nBos: number, window: Window): Int32Array {
  const result = new Int32Array(nBos + window.to - window.from);
  result.set(ids.subarray(0, nBos));
  result.set(ids.subarray(window.from, window.to), nBos);
  return result;
}

/** 1 if the context begins with a BOS that we put there, else 0. */
export function leadingBos(tokens: ContextTokens): number {
  const inserted = tokenFlags.special | tokenFlags.inserted;
  const plain = tokens.part.length < 2 || tokens.part[1] !== -1;
  return plain && ((tokens.flags[0] ?? 0) & inserted) === inserted ? 1 : 0;
}

function bosPolicy(saes: readonly LoadedSae[]): boolean {
  for (const sae of saes) if (sae.info.metaOf) throw metaReadsNoText(sae.id, sae.info.metaOf);
  const policies = new Set(saes.map((sae) => sae.info.prependBos));
  if (policies.size > 1) throw mixedBosPolicies(saes.map((sae) => sae.id));
  return policies.has(true);
}

/** The hook points that the SAEs read and predict, each once. */
function hooksOf({ saes }: ReadingState): HookPoint[] {
  const hooks = new Map<string, HookPoint>();
  for (const { hook, hookOut } of saes)
    for (const each of [hook, hookOut]) if (each) hooks.set(printHookPoint(each), each);
  return [...hooks.values()];
}

/**
 * What an SAE reads of all rows of a stream. Rows of the unchanged prefix are those that were read before; an SAE
 * that attends over positions is given the whole sequence.
 */
async function readRows(
  { id, hook, hookOut, sae, info }: LoadedSae,
  kept: KeptStream,
  activations: ReadonlyMap<string, Tensor>,
  signal?: AbortSignal,
): Promise<SaeRows> {
  const before = sae.config.wholeSequences === true ? undefined : kept.rows.get(id);
  const nBefore = before?.squaredError.length ?? 0;
  const x = rowsFrom(activations.get(printHookPoint(hook)), nBefore);
  const [nRows = 0, width = 0] = x.dims;
  const { d_in } = sae.config;
  if (width !== d_in)
    throw widthMismatch({ id, d_in, hook: info.hook }, { id: "this model", width });
  if (before && nRows === 0) return before;
  const acts = await sae.encode(x, signal);
  const x_hat = await sae.decode(acts, x, signal);
  const target = hookOut ? rowsFrom(activations.get(printHookPoint(hookOut)), nBefore) : x;
  const read = { acts, squaredError: squaredErrors(target, x_hat), inputNorm: norms(x) };
  const rows = before ? joinRows(before, read) : read;
  kept.rows.set(id, rows);
  return rows;
}

/** `[tokens, …] -> [tokens − skip, d]`: the rows after `skip` with trailing dimensions flattened, without a copy. */
export function rowsFrom(kept: Tensor | undefined, skip: number): Tensor<"float32"> {
  const [nTokens = 0, ...rest] = kept?.dims ?? [];
  const width = rest.reduce((product, dim) => product * dim, 1);
  const data = kept?.data as Float32Array;
  return tensor("float32", [nTokens - skip, width], data.subarray(skip * width));
}

/** Σ_d (x − x_hat)² of each row. `[tokens, d], [tokens, d] -> [tokens]` */
export function squaredErrors(x: Tensor<"float32">, x_hat: Tensor<"float32">): Float32Array {
  const [nTokens = 0, d = 0] = x.dims;
  const errors = new Float32Array(nTokens);
  for (let token = 0; token < nTokens; token++) {
    let sum = 0;
    for (let at = token * d; at < (token + 1) * d; at++) {
      const error = (x.data[at] as number) - (x_hat.data[at] as number);
      sum += error * error;
    }
    errors[token] = sum;
  }
  return errors;
}

/** Euclidean norm of each row. `[tokens, d] -> [tokens]` */
export function norms(x: Tensor<"float32">): Float32Array {
  const [nTokens = 0, d = 0] = x.dims;
  const result = new Float32Array(nTokens);
  for (let token = 0; token < nTokens; token++) {
    let sum = 0;
    for (let at = token * d; at < (token + 1) * d; at++) sum += (x.data[at] as number) ** 2;
    result[token] = Math.sqrt(sum);
  }
  return result;
}

/** Joins the readings of windows. */
class ReadingBuilder {
  readonly #offsets: Int32Array;
  readonly #latents: Int32Array[] = [];
  readonly #acts: Float32Array[] = [];
  readonly #squaredError: Float32Array;
  readonly #inputNorm: Float32Array;
  #token = 0;
  #entries = 0;
  readonly #moments = new Moments();
  readonly #absorption: TokenAbsorption[] = [];

  constructor(nTokens: number) {
    this.#offsets = new Int32Array(nTokens + 1);
    this.#squaredError = new Float32Array(nTokens);
    this.#inputNorm = new Float32Array(nTokens);
  }

  /**
   * Adds rows [from, …) of a window; `target [rows, d_out]` is what x_hat was compared with, whose first `leaveOut`
   * rows do not count for the variance.
   */
  append(
    rows: SaeRows,
    target: Tensor<"float32">,
    { from, leaveOut }: { from: number; leaveOut: number },
  ): void {
    const part = from === 0 ? rows : sliceRows(rows, from, rows.squaredError.length);
    const { offsets, latents, acts } = part.acts;
    this.#moments.add(target, Math.max(from, leaveOut));
    this.#squaredError.set(part.squaredError, this.#token);
    this.#inputNorm.set(part.inputNorm, this.#token);
    for (let row = 1; row < offsets.length; row++)
      this.#offsets[this.#token + row] = this.#entries + (offsets[row] as number);
    this.#token += offsets.length - 1;
    this.#entries += latents.length;
    this.#latents.push(latents);
    this.#acts.push(acts);
  }

  /** Adds verdicts, their tokens counted in the context. */
  judge(verdicts: readonly TokenAbsorption[]): void {
    this.#absorption.push(...verdicts);
  }

  finish(): SaeReading {
    const latents = new Int32Array(this.#entries);
    const acts = new Float32Array(this.#entries);
    let at = 0;
    for (const [index, part] of this.#latents.entries()) {
      latents.set(part, at);
      acts.set(this.#acts[index] ?? [], at);
      at += part.length;
    }
    return {
      offsets: this.#offsets,
      latents,
      acts,
      squaredError: this.#squaredError,
      inputNorm: this.#inputNorm,
      variance: this.#moments.variance(),
      ...(this.#absorption.length > 0 ? { absorption: this.#absorption } : {}),
    };
  }
}

/** Sums for Σ||x − mean x||² over many rows, in f64. */
class Moments {
  #rows = 0;
  #squares = 0;
  #sums = new Float64Array();

  add({ dims: [nRows = 0, d = 0], data }: Tensor<"float32">, leaveOut: number): void {
    if (this.#sums.length !== d) this.#sums = new Float64Array(d);
    for (let row = leaveOut; row < nRows; row++) {
      this.#rows++;
      for (let dim = 0; dim < d; dim++) {
        const value = data[row * d + dim] as number;
        this.#squares += value * value;
        (this.#sums[dim] as number) += value;
      }
    }
  }

  variance(): number {
    const ofMean = this.#sums.reduce((sum, value) => sum + value * value, 0);
    return this.#rows === 0 ? 0 : Math.max(0, this.#squares - ofMean / this.#rows);
  }
}
