/**
 * Weights on disk: named tensors of a `.safetensors` file, a folder of them, or a `.gguf` file, read by offset, so that
 * opening costs the header only and one tensor never more memory than itself.
 */
import { join } from "node:path";
import { readSafetensorsHeader, safetensorsHeaderBytes } from "../encoding/safetensors.ts";
import type { StoredTensor } from "../tensor/tensor.ts";
import { exists, isFolder, listFolder, openFile, readJson, realPath } from "./disk.ts";
import { badShardIndex, inFile, noWeights, unknownWeightsFile } from "./errors.ts";
import { openGguf } from "./gguf.ts";
import type { Weights } from "./stored-weights.ts";
import { weightsOf } from "./stored-weights.ts";

export type { Weights } from "./stored-weights.ts";
export { weightsOf } from "./stored-weights.ts";

/**
 * Opens weights: a `.safetensors` or `.gguf` file, or a folder with `model.safetensors`,
 * `model.safetensors.index.json` or a single `.gguf` file, in this order (transformers' own).
 */
export function openWeights(path: string): Weights {
  if (!isFolder(path)) return openWeightsFile(path);
  const whole = join(path, "model.safetensors");
  if (exists(whole)) return openSafetensors(whole);
  const index = join(path, "model.safetensors.index.json");
  if (exists(index)) return openShards(path, index);
  const found = listFolder(path);
  const gguf = found.filter((name) => name.endsWith(".gguf"));
  if (gguf.length !== 1) throw noWeights(path, found);
  return openWeightsFile(join(path, gguf[0]!));
}

function openWeightsFile(path: string): Weights {
  if (path.endsWith(".safetensors")) return openSafetensors(path);
  if (path.endsWith(".gguf")) return openGguf(path).weights;
  realPath(path);
  throw unknownWeightsFile(path);
}

/** Opens one safetensors file, whatever its name. */
export function openSafetensors(path: string): Weights {
  return weightsOf(path, safetensorsPlaces(path));
}

/** Where the tensors of a safetensors file lie. */
function safetensorsPlaces(path: string): Map<string, StoredTensor> {
  const file = realPath(path);
  const source = openFile(file);
  try {
    const start = new Uint8Array(Math.min(8, source.size));
    source.read(0, start);
    const header = new Uint8Array(inFile(path, () => safetensorsHeaderBytes(start, source.size)));
    source.read(0, header);
    const { tensors } = inFile(path, () => readSafetensorsHeader(header, source.size));
    return new Map(
      [...tensors].map(([name, { dtype, dims, begin, end }]) => [
        name,
        { file, offset: begin, byteLength: end - begin, dtype, dims },
      ]),
    );
  } finally {
    source.close();
  }
}

/** A folder of shards: `weight_map` of the index says which file has which tensor. */
function openShards(folder: string, index: string): Weights {
  const map = (readJson(index) as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null) {
    throw badShardIndex(index, "it has no weight_map");
  }
  const shards = new Map<string, Map<string, StoredTensor>>();
  const places = new Map<string, StoredTensor>();
  for (const [name, file] of Object.entries(map)) {
    // A shard is a name, never a way out of the folder.
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw badShardIndex(
        index,
        `tensor "${name}" is in ${JSON.stringify(file)}, no file of this folder`,
      );
    }
    const path = join(folder, file);
    if (!shards.has(file) && !exists(path)) throw badShardIndex(index, `${file} is missing`);
    const shard = shards.get(file) ?? safetensorsPlaces(path);
    shards.set(file, shard);
    const place = shard.get(name);
    if (place === undefined) throw badShardIndex(index, `${file} has no tensor "${name}"`);
    places.set(name, place);
  }
  return weightsOf(folder, places);
}
