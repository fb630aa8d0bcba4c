/** The folder of an index while it is built: what is there already, by a state file that is written after each piece. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { exists, readJson, writeFileAtomic } from "../../files/disk.ts";
import { makeFolder, removePath } from "../../files/folders.ts";
import {
  type Facet,
  type IndexFile,
  type IndexManifest,
  type IndexPart,
  manifestName,
} from "../../store/latent-index.ts";
import type { PostingsShard } from "../../store/postings.ts";

type FileName = keyof IndexManifest["files"];

interface State {
  /** Hash of what the index is built from. */
  readonly inputs: string;
  shards: PostingsShard[];
  files: Partial<Record<FileName, IndexFile>>;
  parts: Partial<Record<Facet, IndexPart[]>>;
}

const stateName = "building.json";

/** What of an index is on the disk. */
export class IndexFiles {
  readonly folder: string;
  readonly #state: State;

  /** Opens a folder; one that was begun with other inputs is emptied: an index is built anew, never converted. */
  constructor(folder: string, inputs: string) {
    this.folder = folder;
    const path = join(folder, stateName);
    const found = exists(path) ? (readJson(path) as State) : undefined;
    if (found?.inputs === inputs) {
      this.#state = found;
    } else {
      removePath(folder);
      makeFolder(folder);
      this.#state = { inputs, shards: [], files: {}, parts: {} };
      this.#save();
    }
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  get isFinished(): boolean {
    return exists(this.path(manifestName));
  }

  get shards(): readonly PostingsShard[] {
    return this.#state.shards;
  }

  file(name: FileName): IndexFile | undefined {
    return this.#state.files[name];
  }

  parts(facet: Facet): readonly IndexPart[] {
    return this.#state.parts[facet] ?? [];
  }

  addShard(shard: PostingsShard): void {
    this.#state.shards.push(shard);
    this.#save();
  }

  addFile(name: FileName, file: IndexFile): void {
    this.#state.files[name] = file;
    this.#save();
  }

  addPart(facet: Facet, part: IndexPart): void {
    this.#state.parts[facet] = [...this.parts(facet), part];
    this.#save();
  }

  /** Begins a facet again. */
  dropParts(facet: Facet): void {
    this.#state.parts[facet] = [];
  }

  /** Writes index.json, which makes the index whole, and removes the postings. */
  finish(manifest: IndexManifest): void {
    writeFileAtomic(this.path(manifestName), `${JSON.stringify(manifest, undefined, 1)}\n`);
    for (const { file } of this.shards) removePath(this.path(file));
  }

  #save(): void {
    writeFileAtomic(this.path(stateName), `${JSON.stringify(this.#state)}\n`);
  }
}

/** sha256 of a value's JSON. */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
