/** Latent indexes of a workspace: found in the folders of its runs, by the SAE that they were built for. */
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { exists, isFolder, listFolder, realPath } from "../files/disk.ts";
import { hashWeights } from "../files/locations.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import { LatentIndex } from "../store/index-reader.ts";
import { manifestName } from "../store/latent-index.ts";

/** The index of an SAE, or why there is none. */
export interface FoundIndex {
  readonly index?: LatentIndex;
  readonly problem?: string;
}

/** Opens indexes and keeps them open. */
export class Indexes {
  /** Folders of runs; none in a workspace that the user does not trust. */
  readonly #roots: () => readonly string[];
  /** By folder and what index.json said about its time. */
  readonly #open = new Map<string, LatentIndex>();
  /** Hashes of weights by path: they are compared once for each index. */
  readonly #hashes = new Map<string, string>();

  constructor(roots: () => readonly string[]) {
    this.#roots = roots;
  }

  /** The newest whole index of an SAE. */
  of(sae: SaeInfo): FoundIndex {
    let problem: string | undefined;
    const fitting: LatentIndex[] = [];
    for (const folder of this.#folders()) {
      try {
        const index = this.#opened(folder);
        if (!isSame(index.manifest.sae.path, sae.path)) continue;
        const key = `${folder} ${index.manifest.key}`;
        const hash = this.#hashes.get(key) ?? hashWeights(sae.path);
        this.#hashes.set(key, hash);
        if (hash === index.manifest.sae.hash) fitting.push(index);
        else problem = `${folder} is an index of other weights of ${sae.id}; build it again`;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        problem = error.message;
      }
    }
    const [index] = fitting.toSorted((a, b) => (a.manifest.builtAt < b.manifest.builtAt ? 1 : -1));
    return index ? { index } : problem === undefined ? {} : { problem };
  }

  dispose(): void {
    for (const index of this.#open.values()) index.close();
    this.#open.clear();
  }

  #folders(): string[] {
    const folders = this.#roots()
      .filter(isFolder)
      .flatMap((root) => listFolder(root).map((name) => join(root, name, "index")));
    const found = folders.filter((folder) => exists(join(folder, manifestName)));
    // One that was removed or is being built again.
    for (const [folder, index] of this.#open)
      if (!found.includes(folder)) {
        index.close();
        this.#open.delete(folder);
      }
    return found;
  }

  #opened(folder: string): LatentIndex {
    const known = this.#open.get(folder);
    if (known?.isCurrent) return known;
    known?.close();
    this.#open.delete(folder);
    const index = new LatentIndex(folder);
    this.#open.set(folder, index);
    return index;
  }
}

function isSame(a: string, b: string): boolean {
  return a === b || (exists(a) && exists(b) && realPath(a) === realPath(b));
}
