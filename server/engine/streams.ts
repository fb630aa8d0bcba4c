/**
 * The token sequences whose KV caches and residuals are kept, least recently used out first.
 */
import type { LanguageModel } from "../lm/language-model.ts";
import { Stream } from "../lm/stream.ts";
import { type SaeRows, sliceRows } from "./sae-rows.ts";

/** A kept sequence: its stream, and what SAEs read of the rows at their hook points. */
export class KeptStream {
  readonly lm: string;
  readonly stream: Stream;
  /** By SAE, from row 0 on; true for the stream's present ids. */
  readonly rows: Map<string, SaeRows> = new Map();

  constructor(lmId: string, lm: LanguageModel) {
    this.lm = lmId;
    this.stream = new Stream(lm);
  }

  /** Sets the ids; keeps what the unchanged prefix allows and returns its length. */
  setIds(ids: Int32Array): number {
    const prefix = this.stream.setIds(ids);
    for (const [sae, rows] of this.rows)
      if (rows.squaredError.length > prefix) this.rows.set(sae, sliceRows(rows, 0, prefix));
    return prefix;
  }
}

/** Streams by name, bounded in bytes. */
export class StreamCache {
  readonly #maxBytes: number;
  readonly #streams = new Map<string, KeptStream>();

  /** @param maxBytes KV caches and kept residuals together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The stream of this name on this model, new if there is none. */
  get(name: string, lmId: string, lm: LanguageModel): KeptStream {
    const found = this.#streams.get(name);
    this.#streams.delete(name);
    if (found && found.lm !== lmId) found.stream.dispose();
    const kept = found && found.lm === lmId ? found : new KeptStream(lmId, lm);
    this.#streams.set(name, kept);
    return kept;
  }

  /** Forgets the oldest streams until the rest fits; the newest always stays. */
  trim(): void {
    let bytes = this.bytes();
    for (const [name, { stream }] of this.#streams) {
      if (bytes <= this.#maxBytes || this.#streams.size === 1) return;
      bytes -= stream.bytes();
      stream.dispose();
      this.#streams.delete(name);
    }
  }

  /** Forgets what an SAE read, for one that is unloaded. */
  forgetSae(id: string): void {
    for (const { rows } of this.#streams.values()) rows.delete(id);
  }

  /** Forgets the streams whose name starts with `prefix`, or that run on the model `lm`. */
  drop({ prefix, lm }: { prefix?: string; lm?: string }): void {
    for (const [name, entry] of this.#streams) {
      if ((prefix !== undefined && name.startsWith(prefix)) || entry.lm === lm) {
        entry.stream.dispose();
        this.#streams.delete(name);
      }
    }
  }

  /** Bytes of all kept caches. */
  bytes(): number {
    let bytes = 0;
    for (const { stream } of this.#streams.values()) bytes += stream.bytes();
    return bytes;
  }
}
