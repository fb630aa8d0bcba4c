/** The file or folder that a user named as an SAE, as the formats look at it. */
import { basename, dirname, join } from "node:path";
import { exists, isFolder, listFolder, realPath } from "../files/disk.ts";
import { ConfigFile } from "./config-file.ts";
import { pickleNotRead } from "./errors.ts";
import { openTensorFile, type TensorFile } from "./tensor-file.ts";

/** A path with what lies there; files are opened once, when first asked for. */
export class SaePlace {
  /** As the user gave it. */
  readonly path: string;
  readonly folder: string;
  /** Names in the folder. */
  readonly names: readonly string[];
  /** The file's name, if the path is a file's. */
  readonly fileName: string | undefined;
  readonly #tensors = new Map<string, TensorFile>();
  readonly #configs = new Map<string, ConfigFile>();
  readonly #pickles: boolean;

  /** `pickles`: whether files in Python's pickle format may be read. */
  constructor(path: string, { pickles = true }: { pickles?: boolean } = {}) {
    this.path = path;
    this.#pickles = pickles;
    if (isFolder(path)) {
      this.folder = path;
      this.names = listFolder(path);
      this.fileName = undefined;
    } else {
      realPath(path);
      this.folder = dirname(path);
      this.names = listFolder(this.folder);
      this.fileName = basename(path);
    }
  }

  /** Whether the folder has the file; if the user named a weight file, no other weight file counts. */
  has(name: string): boolean {
    if (!this.names.includes(name)) return false;
    const named = this.fileName;
    return named === undefined || !isWeights(named) || !isWeights(name) || name === named;
  }

  /** The weight file that the user named or the only one in the folder with such an ending. */
  weightFile(pattern: RegExp): string | undefined {
    if (this.fileName !== undefined && isWeights(this.fileName))
      return pattern.test(this.fileName) ? this.fileName : undefined;
    const found = this.names.filter((name) => pattern.test(name));
    return found.length === 1 ? found[0] : undefined;
  }

  /** Whether the weight file has all these tensors. */
  hasTensors(name: string, keys: readonly string[]): boolean {
    const file = this.tensors(name);
    return keys.every((key) => file.dims(key) !== undefined);
  }

  /** The tensors of a file; its path is relative to the folder. */
  tensors(name: string): TensorFile {
    const known = this.#tensors.get(name);
    if (known) return known;
    if (!this.#pickles && !/\.(safetensors|npz)$/.test(name))
      throw pickleNotRead(join(this.folder, name));
    const file = openTensorFile(join(this.folder, name));
    this.#tensors.set(name, file);
    return file;
  }

  /** The config in a file of the folder. */
  config(name: string): ConfigFile {
    const known = this.#configs.get(name);
    if (known) return known;
    const config = ConfigFile.read(join(this.folder, name));
    this.#configs.set(name, config);
    return config;
  }

  /** A config that may lie in the folder or above it, e.g. beside `checkpoints/`. */
  maybeConfig(name: string): ConfigFile | undefined {
    const path = join(this.folder, name);
    return exists(path) ? this.config(name) : undefined;
  }

  /** Closes all weight files. */
  close(): void {
    for (const file of this.#tensors.values()) file.close();
  }
}

function isWeights(name: string): boolean {
  return /\.(safetensors|pth?|npz)$/.test(name);
}
