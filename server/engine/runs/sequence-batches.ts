/**
 * Batches of whole token windows, in a shuffled order that is a function of (seed, number of the batch): for losses that
 * need what comes after the SAE, and so a token's whole context. Rows of a batch are those of its windows, one after the other.
 */
import { assert } from "../../base/errors.ts";
import { Trace } from "../../lm/gradient-trace.ts";
import { LmGradients } from "../../lm/gradients.ts";
import { type HookPoint, parseHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { TokenWindows } from "../../store/token-windows.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { Batch, Batches, BufferOptions } from "../../training/buffer.ts";
import type { Downstream } from "../../training/downstream.ts";
import { permutation } from "../../training/permutation.ts";
import { LmDownstream, splicePlace, type TracedWindow } from "./lm-downstream.ts";
import type { LmSource } from "./lm-source.ts";

/** Purpose of the permutation of windows; the shuffled buffer has 1 to 3. */
const windowOrder = 4;

/** Batches of windows of a corpus. */
export class SequenceBatches implements Batches {
  readonly count: number;
  /** Bytes of the residuals, keys and values of a batch. */
  readonly bytes: number;
  readonly #lm: LanguageModel;
  readonly #windows: TokenWindows;
  readonly #source: LmSource;
  readonly #gradients: LmGradients;
  readonly #options: BufferOptions;
  /** Windows with at least one row. */
  readonly #usable: Int32Array;
  readonly #perBatch: number;
  readonly #orders = new Map<number, Int32Array>();
  #traced: readonly TracedWindow[] = [];
  #rows: Batch = new Map();

  constructor(lm: LanguageModel, windows: TokenWindows, source: LmSource, options: BufferOptions) {
    const { pieceRows } = source;
    this.#lm = lm;
    this.#windows = windows;
    this.#source = source;
    this.#options = options;
    this.#gradients = new LmGradients(lm);
    this.#usable = Int32Array.from(pieceRows.keys()).filter((window) => pieceRows[window]! > 0);
    assert(this.#usable.length > 0, "windows without rows");
    const rows = pieceRows.reduce((sum, n) => sum + n, 0) / this.#usable.length;
    this.#perBatch = Math.max(1, Math.round(options.batch / rows));
    const { epochs } = options;
    this.count =
      epochs === 0 ? Infinity : Math.floor((epochs * this.#usable.length) / this.#perBatch);
    const { n_layers, d_model, n_kv_heads, d_head } = lm.config;
    this.bytes = Math.round(
      2 * this.#perBatch * rows * n_layers * 4 * (d_model + 2 * n_kv_heads * d_head),
    );
  }

  async batch(index: number, signal?: AbortSignal): Promise<Batch> {
    const traced: TracedWindow[] = [];
    const parts = new Map(
      [...this.#source.widths.keys()].map((hook) => [hook, [] as Float32Array[]]),
    );
    for (let at = index * this.#perBatch; at < (index + 1) * this.#perBatch; at++) {
      const window = this.#windowAt(at);
      const ids = this.#windows.window(window);
      const trace = await Trace.run(this.#lm, { ids }, signal);
      const kept = this.#source.keptPositions(ids);
      traced.push({ trace, kept });
      for (const [hook, rows] of await this.#rowsOf(window, { trace, kept }, signal))
        parts.get(hook)!.push(rows);
      this.#options.onRead?.((at + 1 - index * this.#perBatch) / this.#perBatch);
    }
    this.#traced = traced;
    this.#rows = new Map(
      [...parts].map(([hook, all]) => {
        const width = this.#source.widths.get(hook)!;
        const data = joined(all);
        return [hook, tensor("float32", [data.length / width, width], data)];
      }),
    );
    return this.#rows;
  }

  /** What comes after a hook point for the batch that was given last. */
  downstream(hook: string): Downstream {
    const original = this.#rows.get(hook);
    assert(original !== undefined, `no rows of ${hook}`);
    return new LmDownstream(this.#gradients, splicePlace(parseHookPoint(hook)), {
      windows: this.#traced,
      original: original.data,
    });
  }

  async close(): Promise<void> {
    this.#traced = [];
    await this.#gradients.release();
    await this.#source.close();
  }

  /** Window at a place in the endless stream of shuffled epochs. */
  #windowAt(at: number): number {
    const epoch = Math.floor(at / this.#usable.length);
    let order = this.#orders.get(epoch);
    if (order === undefined) {
      order = permutation(this.#usable.length, this.#options.seed, windowOrder, epoch);
      this.#orders.clear();
      this.#orders.set(epoch, order);
    }
    return this.#usable[order[at % this.#usable.length]!]!;
  }

  /** Rows by hook point: residuals are in the trace, everything else is read by another forward pass. */
  async #rowsOf(
    window: number,
    { trace, kept }: TracedWindow,
    signal?: AbortSignal,
  ): Promise<Map<string, Float32Array>> {
    const { d_model } = this.#lm.config;
    const found = new Map<string, Float32Array>();
    for (const hook of this.#source.widths.keys()) {
      const layer = residualLayer(parseHookPoint(hook));
      if (layer === undefined) continue;
      const resid = trace.resid(layer);
      found.set(hook, joined(kept.map((at) => resid.subarray(at * d_model, (at + 1) * d_model))));
    }
    if (found.size === this.#source.widths.size) return found;
    return new Map([...(await this.#source.read(window, signal)), ...found]);
  }
}

/** The layer before which a residual is, in the numbers of a trace. */
function residualLayer(hook: HookPoint): number | undefined {
  if (hook.kind === "resid_pre") return hook.layer;
  return hook.kind === "resid_post" ? hook.layer + 1 : undefined;
}

function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
