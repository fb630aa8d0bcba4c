/**
 * What the reader answers about decoders alone, without text: meta-latents of latents, and which latents of two SAEs point
 * the same way. Long answers are made in pieces behind hovers, and kept.
 */
import {
  type Cosines,
  cosinesBetween,
  decoderDirections,
  requireSameSpace,
} from "../analysis/cosines.ts";
import { breakDown, breakdownOf, directionsOf } from "../analysis/meta/breakdown.ts";
import { compareMeta } from "../analysis/meta/comparison.ts";
import { Decomposition } from "../analysis/meta/decomposition.ts";
import type { Pace } from "../analysis/pace.ts";
import { isCancelled } from "../base/errors.ts";
import { readSafetensors, writeSafetensors } from "../encoding/safetensors.ts";
import { Cache } from "../files/cache.ts";
import { hashWeights } from "../files/locations.ts";
import type { MetaReaderMethods } from "../protocol/meta.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { cosineRule, type Relation, type StitchReaderMethods } from "../protocol/stitching.ts";
import type { Device } from "../runtime/device.ts";
import type { Sae } from "../sae/sae.ts";
import { tensor } from "../tensor/tensor.ts";
import type { DeviceLock } from "./device-lock.ts";
import { notAMetaSae } from "./errors.ts";
import type { Loaded, LoadedSae } from "./loaded.ts";
import { Stitcher } from "./stitching/stitcher.ts";

type Table = MetaReaderMethods & StitchReaderMethods;
type Params<K extends keyof Table> = Parameters<Table[K]>[0];
type Answer<K extends keyof Table> = Promise<ReturnType<Table[K]>>;

/** What the analyses stand on. */
export interface DecoderAnalysesParts {
  readonly loaded: Loaded;
  readonly lock: DeviceLock;
  readonly device: Device;
  readonly cacheFolder: string;
  readonly sampleText: string;
}

/** The handlers of both tables. */
export class DecoderAnalyses implements Handlers<Table> {
  readonly #parts: DecoderAnalysesParts;
  readonly #cache: Cache;
  readonly #decompositions = new KeptPairs<Decomposition>();
  readonly #relations = new KeptPairs<Cosines>();
  readonly #stitcher: Stitcher;

  constructor(parts: DecoderAnalysesParts) {
    this.#parts = parts;
    this.#cache = new Cache(parts.cacheFolder, "relations");
    this.#stitcher = new Stitcher({
      ...parts,
      relation: (wide, narrow, signal) => this.#relation(wide, narrow, signal),
    });
  }

  async metaLatents(
    { meta: id, parent: parentId, latents, k }: Params<"metaLatents">,
    signal?: AbortSignal,
  ): Answer<"metaLatents"> {
    const { meta, parent } = this.#pair(id, parentId);
    return this.#parts.lock.run(
      async () => {
        const broken = await breakDown(meta.sae, directionsOf(parent.sae, latents), signal);
        return latents.map((latent, row) => breakdownOf(broken, row, latent, k));
      },
      { signal },
    );
  }

  async metaSummary(
    { meta: id, parent: parentId }: Params<"metaSummary">,
    signal?: AbortSignal,
  ): Answer<"metaSummary"> {
    const { meta, parent } = this.#pair(id, parentId);
    const { summary } = await this.#decomposition(meta.sae, parent.sae, signal);
    return { ...summary, meta: meta.id, parent: parent.id };
  }

  async metaMembers(
    { meta: id, parent: parentId, latents, k }: Params<"metaMembers">,
    signal?: AbortSignal,
  ): Answer<"metaMembers"> {
    const { meta, parent } = this.#pair(id, parentId);
    const all = await this.#decomposition(meta.sae, parent.sae, signal);
    return latents.map((latent) => all.members(latent, k));
  }

  metaComparison(
    { meta, narrow }: Params<"metaComparison">,
    signal?: AbortSignal,
  ): Answer<"metaComparison"> {
    const { loaded, device } = this.#parts;
    const pace = this.#pace(signal);
    return compareMeta(loaded.sae(meta).sae, loaded.sae(narrow), { device, pace });
  }

  async relation(
    { wide: wideId, narrow: narrowId }: Params<"relation">,
    signal?: AbortSignal,
  ): Answer<"relation"> {
    const { loaded } = this.#parts;
    const cosines = await this.#relation(loaded.sae(wideId), loaded.sae(narrowId), signal);
    return { wide: wideId, narrow: narrowId, ...cosines };
  }

  stitch(params: Params<"stitch">, signal?: AbortSignal): Answer<"stitch"> {
    return this.#stitcher.stitch(params, signal);
  }

  stitchProgress(): ReturnType<Table["stitchProgress"]> {
    return this.#stitcher.stitchProgress();
  }

  writeStitched(params: Params<"writeStitched">, signal?: AbortSignal): Answer<"writeStitched"> {
    return this.#stitcher.writeStitched(params, signal);
  }

  #relation(wide: LoadedSae, narrow: LoadedSae, signal?: AbortSignal): Promise<Cosines> {
    const make = (own?: AbortSignal): Promise<Cosines> => this.#cosines(wide, narrow, own);
    return this.#relations.get([wide.sae, narrow.sae], make, signal);
  }

  async #cosines(wide: LoadedSae, narrow: LoadedSae, signal?: AbortSignal): Promise<Cosines> {
    const key = `${hashWeights(wide.info.path)}-${hashWeights(narrow.info.path)}-${cosineRule}-v1`;
    const bytes = this.#cache.readBytes(key);
    const found = bytes && fromBytes(bytes);
    if (found) return found;
    const [a, b] = [decoderDirections(wide.sae), decoderDirections(narrow.sae)];
    requireSameSpace(a, b, narrow.id);
    const { device } = this.#parts;
    const pace = this.#pace(signal);
    const made = await cosinesBetween(a, b, { device, threshold: cosineRule, pace });
    this.#cache.writeBytes(key, toBytes(made));
    return made;
  }

  #decomposition(meta: Sae, parent: Sae, signal?: AbortSignal): Promise<Decomposition> {
    const make = (own?: AbortSignal): Promise<Decomposition> =>
      Decomposition.of(meta, parent, this.#pace(own));
    return this.#decompositions.get([meta, parent], make, signal);
  }

  #pair(meta: string, parent?: string): { meta: LoadedSae; parent: LoadedSae } {
    const { loaded } = this.#parts;
    const found = loaded.sae(meta);
    const name = parent ?? found.info.metaOf;
    if (name === undefined) throw notAMetaSae(meta);
    const pair = { meta: found, parent: loaded.sae(name) };
    requireSameSpace(decoderDirections(found.sae), decoderDirections(pair.parent.sae), name);
    return pair;
  }

  /** Pieces take turns on the device behind everything urgent. */
  #pace(signal: AbortSignal | undefined): Pace {
    return { signal, step: (piece) => this.#parts.lock.run(piece, { background: true, signal }) };
  }
}

type Make<T> = (signal?: AbortSignal) => Promise<T>;

/** What is made once for a pair of SAEs; a cancelled attempt is made again by whoever still wants it. */
class KeptPairs<T> {
  readonly #made = new WeakMap<Sae, WeakMap<Sae, Promise<T>>>();

  async get([a, b]: readonly [Sae, Sae], make: Make<T>, signal?: AbortSignal): Promise<T> {
    const ofA = this.#made.get(a) ?? new WeakMap<Sae, Promise<T>>();
    this.#made.set(a, ofA);
    const running = ofA.get(b) ?? make(signal);
    ofA.set(b, running);
    try {
      return await running;
    } catch (error) {
      if (ofA.get(b) === running) ofA.delete(b);
      if (isCancelled(error) && signal?.aborted !== true) return this.get([a, b], make, signal);
      throw error;
    }
  }
}

const names = ["best", "bestRow", "bestBack", "bestBackRow", "offsets", "rows", "cosines"] as const;

function toBytes(relation: Cosines): Uint8Array {
  return writeSafetensors(
    new Map(
      names.map((name) => {
        const data = relation[name];
        const dims = [data.length];
        return [
          name,
          data instanceof Float32Array
            ? tensor("float32", dims, data as Float32Array<ArrayBuffer>)
            : tensor("int32", dims, data as Int32Array<ArrayBuffer>),
        ];
      }),
    ),
  );
}

/** What the cache holds; nothing if it is not whole. */
function fromBytes(bytes: Uint8Array<ArrayBuffer>): Omit<Relation, "wide" | "narrow"> | undefined {
  const tensors = readSafetensors(bytes);
  if (names.some((name) => !tensors.has(name))) return undefined;
  return Object.fromEntries(
    names.map((name) => [name, tensors.get(name)!.data]),
  ) as unknown as Cosines;
}
