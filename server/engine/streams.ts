/**
 * The token sequences whose KV caches and residuals are kept, least recently used out first.
 */
import type { LanguageModel } from "../lm/language-model.ts";
import { Stream } from "../lm/stream.ts";

/** Streams by name, bounded in bytes. */
export class StreamCache {
  readonly #maxBytes: number;
  readonly #streams = new Map<string, { lm: string; stream: Stream }>();

  /** @param maxBytes KV caches and kept residuals together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The stream of this name on this model, new if there is none. */
  get(name: string, lmId: string, lm: LanguageModel): Stream {
    const found = this.#streams.get(name);
    this.#streams.delete(name);
    if (found && found.lm !== lmId) found.stream.dispose();
    const stream = found && found.lm === lmId ? found.stream : new Stream(lm);
    this.#streams.set(name, { lm: lmId, stream });
    return stream;
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
