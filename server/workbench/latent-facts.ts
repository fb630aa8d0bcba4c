/**
 * Facts about single latents that the reader computes and that do not depend on the text: their strongest
 * next-token effects and their meta-latents. Asked for in batches and remembered.
 */
import type { MetaBreakdown } from "../protocol/meta.ts";
import type { ReaderProcess } from "./reader-process.ts";

interface Effects {
  readonly texts: readonly string[];
}

/** Latents asked for in one call; small enough that a hover never waits long behind it. */
const batchSize = 64;

/** Remembers facts by SAE and latent for as long as the reader lives. */
export class LatentFacts {
  readonly #reader: ReaderProcess;
  #generation = 0;
  readonly #effects = new Map<string, Map<number, Effects>>();
  readonly #metaLatents = new Map<string, Map<number, MetaBreakdown>>();

  constructor(reader: ReaderProcess) {
    this.#reader = reader;
  }

  /** The three next tokens that each latent's decoder row raises most. */
  async effects(
    { lm, sae }: { lm: string; sae: string },
    latents: readonly number[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<number, Effects>> {
    const known = this.#known(this.#effects, `${lm} ${sae}`);
    for (const batch of batches(latents.filter((it) => !known.has(it)))) {
      const { texts } = await this.#reader.call(
        "logitEffects",
        { lm, sae, latents: batch, k: 3 },
        signal,
      );
      for (const [row, latent] of batch.entries()) known.set(latent, { texts: texts[row] ?? [] });
    }
    return known;
  }

  /** How each latent breaks down, with up to four meta-latents. */
  async metaLatents(
    meta: string,
    latents: readonly number[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<number, MetaBreakdown>> {
    const known = this.#known(this.#metaLatents, meta);
    for (const batch of batches(latents.filter((it) => !known.has(it)))) {
      const found = await this.#reader.call("metaLatents", { meta, latents: batch, k: 4 }, signal);
      for (const breakdown of found) known.set(breakdown.latent, breakdown);
    }
    return known;
  }

  #known<T>(table: Map<string, Map<number, T>>, key: string): Map<number, T> {
    if (this.#generation !== this.#reader.generation) {
      this.#effects.clear();
      this.#metaLatents.clear();
      this.#generation = this.#reader.generation;
    }
    const known = table.get(key) ?? new Map<number, T>();
    table.set(key, known);
    return known;
  }
}

function* batches(latents: readonly number[]): Generator<number[]> {
  const unique = [...new Set(latents)];
  for (let at = 0; at < unique.length; at += batchSize) yield unique.slice(at, at + batchSize);
}
