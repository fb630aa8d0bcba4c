/** Named tensors whose places in files are known, whatever the format of the files. */
import { assert } from "../base/errors.ts";
import type { StoredTensor } from "../tensor/tensor.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { OpenFile } from "./disk.ts";
import { openFile } from "./disk.ts";
import { missingTensor } from "./errors.ts";
import { readStoredFloat32 } from "./read-stored.ts";

/** Named tensors in one or more files. */
export interface Weights {
  /** The path as it was given: what errors name. */
  readonly description: string;
  /** Names of all tensors, in the order of the file. */
  names(): readonly string[];
  /** Shape in row-major order, outermost first; undefined for an absent name. */
  dims(name: string): readonly number[] | undefined;
  /** Place in the file; its dtype may be a block type. A missing name is a user's error that says what there is. */
  stored(name: string): StoredTensor;
  /** The whole tensor as float32, dequantised. */
  readFloat32(name: string): Float32Array<ArrayBuffer>;
  /** Rows `[from, to)` of the outermost dimension as float32, read by offset. `-> [to − from, …]` */
  readRows(name: string, from: number, to: number): Float32Array<ArrayBuffer>;
  close(): void;
}

/** Weights whose tensors lie at known places; files are opened when first read and stay open until `close`. */
export function weightsOf(description: string, places: ReadonlyMap<string, StoredTensor>): Weights {
  const files = new Map<string, OpenFile>();
  const stored = (name: string): StoredTensor => {
    const place = places.get(name);
    if (place === undefined) throw missingTensor(description, name, [...places.keys()]);
    return place;
  };
  const open = (path: string): OpenFile => {
    const known = files.get(path);
    if (known !== undefined) return known;
    const file = openFile(path);
    files.set(path, file);
    return file;
  };
  return {
    description,
    stored,
    names: () => [...places.keys()],
    dims: (name) => places.get(name)?.dims,
    readFloat32(name) {
      const place = stored(name);
      return readStoredFloat32(open(place.file), place);
    },
    readRows(name, from, to) {
      const place = stored(name);
      const [rows = 1, ...inner] = place.dims;
      assert(
        Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows,
        `rows ${from} to ${to} of "${name}" [${place.dims.join(", ")}]`,
      );
      const rowElements = sizeOf(inner);
      return readStoredFloat32(open(place.file), place, from * rowElements, to * rowElements);
    },
    close() {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}
