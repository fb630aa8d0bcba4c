/** Reads a latent index by offset: a few kilobytes for a query, whatever the size of the index. */
import { join } from "node:path";
import { exists, readJson } from "../files/disk.ts";
import { ArrayFile } from "./array-file.ts";
import { noIndex } from "./errors.ts";
import {
  type Facet,
  facets,
  fieldsOf,
  indexFormat,
  type IndexManifest,
  manifestName,
} from "./latent-index.ts";
import type { PartArrays } from "./index-writer.ts";

/** One figure of every latent. `[d_sae]` */
export interface IndexSummary {
  readonly count: Uint32Array;
  readonly max: Float32Array;
  readonly mean: Float32Array;
}

/** The manifest of a folder, checked; throws a user error for anything else. */
export function readManifest(folder: string): IndexManifest {
  const path = join(folder, manifestName);
  if (!exists(path)) throw noIndex(folder, "no index.json");
  const value = readJson(path) as Partial<IndexManifest> | null;
  if (value?.format !== indexFormat)
    throw noIndex(folder, `format ${JSON.stringify(value?.format)}, not ${indexFormat}`);
  // A file is a name, never a way out of the folder.
  const files = [
    ...Object.values(value.files ?? {}),
    ...facets.flatMap((facet) => value.parts?.[facet] ?? []),
  ];
  if (files.length < 4 || !files.every(isPlain))
    throw noIndex(folder, "an index.json without files");
  return value as IndexManifest;
}

function isPlain({ file }: { file?: unknown }): boolean {
  return typeof file === "string" && /^[\w-]+\.safetensors$/.test(file);
}

/** An index that is whole. */
export class LatentIndex {
  readonly folder: string;
  readonly manifest: IndexManifest;
  readonly #open = new Map<string, ArrayFile>();
  #summary: IndexSummary | undefined;
  #vocabulary: { readonly bytes: Uint8Array; readonly ends: Uint32Array } | undefined;

  constructor(folder: string) {
    this.folder = folder;
    this.manifest = readManifest(folder);
  }

  /** Whether the folder still holds what was opened. */
  get isCurrent(): boolean {
    return (
      exists(join(this.folder, manifestName)) && readManifest(this.folder).key === this.manifest.key
    );
  }

  /** Count, largest and mean activation of all latents: 12 bytes a latent, read once. */
  get summary(): IndexSummary {
    const { d_sae } = this.manifest.sae;
    this.#summary ??= {
      count: this.#file("summary").rows("count", "uint32", 0, d_sae),
      max: this.#file("summary").rows("max", "float32", 0, d_sae),
      mean: this.#file("summary").rows("mean", "float32", 0, d_sae),
    };
    return this.#summary;
  }

  /** A latent's rows of a facet's arrays; undefined where the facet does not exist. */
  row(facet: Facet, latent: number): PartArrays | undefined {
    if (this.manifest.parts[facet].length === 0) return undefined;
    const names = Object.keys(fieldsOf(this.manifest.sizes)[facet]);
    return Object.fromEntries(names.map((name) => [name, this.field(facet, latent, name)!]));
  }

  /** One array of a latent's rows. */
  field(facet: Facet, latent: number, name: string): PartArrays[string] | undefined {
    const part = this.manifest.parts[facet].find(({ from, to }) => from <= latent && latent < to);
    const field = fieldsOf(this.manifest.sizes)[facet][name];
    if (part === undefined || field === undefined) return undefined;
    const at = latent - part.from;
    return this.#opened(part.file).rows(name, field.dtype, at, at + 1) as PartArrays[string];
  }

  /** Ids of the corpus's tokens `[from, to)`, counted through all windows. */
  tokens(from: number, to: number): Int32Array {
    const file = this.#file("tokens");
    const dtype = this.manifest.d_vocab <= 2 ** 16 ? "uint16" : "int32";
    return Int32Array.from(file.rows("ids", dtype, from, to));
  }

  /** Texts of vocabulary entries; an id that is none has none. */
  tokenTexts(ids: Iterable<number>): string[] {
    const { bytes, ends } = this.#texts;
    const decoder = new TextDecoder();
    return Array.from(ids, (id) =>
      id < 0 || id >= ends.length
        ? ""
        : decoder.decode(bytes.subarray(id === 0 ? 0 : ends[id - 1]!, ends[id])),
    );
  }

  /** Ids of vocabulary entries with exactly this text. */
  idsOfText(text: string): number[] {
    const { bytes, ends } = this.#texts;
    const wanted = new TextEncoder().encode(text);
    const found: number[] = [];
    for (let id = 0, from = 0; id < ends.length; from = ends[id]!, id++) {
      if (ends[id]! - from !== wanted.length) continue;
      if (wanted.every((byte, i) => bytes[from + i] === byte)) found.push(id);
    }
    return found;
  }

  /** Latents that stand for a token, best first, with the cosine between the token's places and their activations. */
  latentsOfToken(id: number): { latent: number; score: number }[] {
    const file = this.#file("token-latents");
    if (id < 0 || id >= this.manifest.d_vocab) return [];
    const latents = file.rows("latent", "int32", id, id + 1);
    const scores = file.rows("score", "float32", id, id + 1);
    return Array.from(latents, (latent, i) => ({ latent, score: scores[i]! })).filter(
      ({ latent }) => latent >= 0,
    );
  }

  close(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  /** The texts of all tokens: a few megabytes, read once. */
  get #texts(): { readonly bytes: Uint8Array; readonly ends: Uint32Array } {
    const file = this.#file("vocabulary");
    this.#vocabulary ??= { bytes: file.all("bytes", "uint8"), ends: file.all("ends", "uint32") };
    return this.#vocabulary;
  }

  #file(name: keyof IndexManifest["files"]): ArrayFile {
    return this.#opened(this.manifest.files[name].file);
  }

  /** Files are few (parts are large), so all that were asked for stay open. */
  #opened(name: string): ArrayFile {
    const known = this.#open.get(name) ?? new ArrayFile(join(this.folder, name));
    this.#open.set(name, known);
    return known;
  }
}
