/**
 * Facts about decoders that take the reader longer than a hover may wait: labels of meta-latents made of their members', and
 * which latents of a wide SAE a narrow one has, too. What is known is answered at once; the rest is asked for in the
 * background, and `onKnown` says when there is more.
 */
import { isCancelled } from "../base/errors.ts";
import { derivedLabel } from "../protocol/meta.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import { type Counterpart, counterpartOf, type Relation } from "../protocol/stitching.ts";
import type { ReaderProcess } from "./reader-process.ts";

/** Members that a derived label is made from, if they have labels. */
const membersAsked = 8;

/** Remembers for as long as the reader lives. */
export class DecoderFacts {
  readonly #reader: ReaderProcess;
  readonly #onKnown: () => void;
  readonly #onFailed: (error: unknown) => void;
  #generation = 0;
  readonly #derived = new Map<string, Map<number, string | undefined>>();
  readonly #relations = new Map<string, Relation>();
  readonly #asked = new Set<string>();

  constructor(reader: ReaderProcess, onKnown: () => void, onFailed: (error: unknown) => void) {
    this.#reader = reader;
    this.#onKnown = onKnown;
    this.#onFailed = onFailed;
  }

  /** Labels made of members' labels, as far as they are known by now. */
  derivedLabels(
    { meta, latents }: { meta: SaeInfo; latents: readonly number[] },
    labelOf: (latent: number) => string | undefined,
  ): ReadonlyMap<number, string | undefined> {
    this.#forget();
    const known = this.#derived.get(meta.id) ?? new Map<number, string | undefined>();
    this.#derived.set(meta.id, known);
    const missing = latents.filter((latent) => !known.has(latent));
    if (missing.length > 0)
      this.#later(`members ${meta.id}`, async () => {
        const found = await this.#reader.call("metaMembers", {
          meta: meta.id,
          latents: [...new Set(missing)],
          k: membersAsked,
        });
        for (const { latent, members } of found) known.set(latent, derivedLabel(members, labelOf));
      });
    return known;
  }

  /** What latents of a wide SAE are to a narrow one, once that is known. */
  counterpart(wide: string, narrow: string): ((latent: number) => Counterpart) | undefined {
    const known = this.relation(wide, narrow);
    return known && ((latent) => counterpartOf(known, latent));
  }

  /** The cosines of a wide SAE's decoder rows with a narrow one's, once they are known. */
  relation(wide: string, narrow: string): Relation | undefined {
    this.#forget();
    const key = `${wide}\n${narrow}`;
    const known = this.#relations.get(key);
    if (known) return known;
    this.#later(`relation ${key}`, async () => {
      this.#relations.set(key, await this.#reader.call("relation", { wide, narrow }));
    });
    return undefined;
  }

  /** Runs once at a time; a failure is told and not tried again in this life of the reader. */
  #later(key: string, work: () => Promise<void>): void {
    if (this.#asked.has(key)) return;
    this.#asked.add(key);
    const { generation } = this.#reader;
    work().then(
      () => {
        if (generation !== this.#reader.generation) return;
        this.#asked.delete(key);
        this.#onKnown();
      },
      (error: unknown) => {
        if (!isCancelled(error) && generation === this.#reader.generation) this.#onFailed(error);
      },
    );
  }

  #forget(): void {
    if (this.#generation === this.#reader.generation) return;
    this.#generation = this.#reader.generation;
    this.#derived.clear();
    this.#relations.clear();
    this.#asked.clear();
  }
}

/** The widest of the narrower SAEs on the same hook point, if one is in use. */
export function narrowerOf(sae: SaeInfo, saes: readonly SaeInfo[]): SaeInfo | undefined {
  return saes
    .filter((it) => it.hook === sae.hook && it.d_out === sae.d_out && it.d_sae < sae.d_sae)
    .toSorted((a, b) => b.d_sae - a.d_sae)[0];
}
