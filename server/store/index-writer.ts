/** Writes the files of an index: each whole or absent, so that a build that was killed goes on after the last one. */
import { join } from "node:path";
import { assert } from "../base/errors.ts";
import { safetensorsPieces } from "../encoding/safetensors-pieces.ts";
import { writePiecesAtomic } from "../files/write-pieces.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  type Facet,
  type Field,
  fieldsOf,
  type IndexFile,
  type IndexPart,
  type IndexSizes,
} from "./latent-index.ts";

/** Arrays of one element type by name, as a part is filled. */
export type PartArrays = Readonly<
  Record<
    string,
    | Float32Array<ArrayBuffer>
    | Uint32Array<ArrayBuffer>
    | Int32Array<ArrayBuffer>
    | Uint8Array<ArrayBuffer>
  >
>;

/** Empty arrays for so many latents of a facet: zeros, and −1 for latents and tokens. */
export function emptyPart(facet: Facet, sizes: IndexSizes, latents: number): PartArrays {
  return Object.fromEntries(
    Object.entries(fieldsOf(sizes)[facet]).map(([name, field]) => [
      name,
      emptyArray(field, latents),
    ]),
  );
}

function emptyArray({ dtype, width }: Field, latents: number): PartArrays[string] {
  const length = latents * width;
  if (dtype === "int32") return new Int32Array(length).fill(-1);
  if (dtype === "uint32") return new Uint32Array(length);
  if (dtype === "uint8") return new Uint8Array(length);
  assert(dtype === "float32", `an index has no ${dtype}`);
  return new Float32Array(length);
}

/** Bytes of a facet's arrays for one latent. */
export function bytesPerLatent(facet: Facet, sizes: IndexSizes): number {
  const fields = Object.values(fieldsOf(sizes)[facet]);
  return fields.reduce((sum, { dtype, width }) => sum + (dtype === "uint8" ? 1 : 4) * width, 0);
}

/** Writes the arrays of latents `[from, to)`. */
export function writePart(
  folder: string,
  { facet, number, sizes }: { facet: Facet; number: number; sizes: IndexSizes },
  [from, to]: readonly [number, number],
  arrays: PartArrays,
): IndexPart {
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, width }] of Object.entries(fieldsOf(sizes)[facet]))
    tensors.set(name, tensor(dtype, [to - from, width], arrays[name]!));
  const file = `${facet}-${String(number).padStart(5, "0")}.safetensors`;
  return { ...writeArrays(folder, file, tensors), from, to };
}

/** Writes one file of arrays. */
export function writeArrays(
  folder: string,
  file: string,
  tensors: ReadonlyMap<string, Tensor>,
): IndexFile {
  return { file, ...writePiecesAtomic(join(folder, file), safetensorsPieces(tensors)) };
}
