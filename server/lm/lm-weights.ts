/**
 * A language model's weights under the names that Hugging Face gives them, whatever the file calls them: outer
 * prefixes that some exports leave out, and llama.cpp's names, row order and offsets.
 */
import type { Weights } from "../files/weights.ts";
import { bytesPerElement, type StoredTensor, type Tensor, tensor } from "../tensor/tensor.ts";
import { nonFiniteWeight, wrongWeightShape } from "./errors.ts";

/** Where a tensor of ours lies in the file, and what must be done to its elements. */
export interface WeightPlace {
  readonly name: string;
  /** Undoes what the file's format did to the elements; without it the stored bytes can be used as they are. */
  readonly convert?: (elements: Float32Array, dims: readonly number[]) => Float32Array;
}

/** From a Hugging Face name to its place in the file. */
export type WeightNaming = (name: string) => WeightPlace;

/** Weights by Hugging Face name with checked shapes. */
export class LmWeights {
  readonly #weights: Weights;
  readonly #naming: WeightNaming;

  constructor(weights: Weights, naming: WeightNaming) {
    this.#weights = weights;
    this.#naming = naming;
  }

  /** True if the file has this tensor. */
  has(name: string): boolean {
    return this.#weights.dims(this.#naming(name).name) !== undefined;
  }

  /** Throws unless the tensor is there with this shape. */
  check(name: string, dims: readonly number[]): void {
    const place = this.#naming(name).name;
    // Opening the place of an absent name throws with what there is.
    const found = this.#weights.dims(place) ?? this.#weights.stored(place).dims;
    if (found.length !== dims.length || found.some((dim, axis) => dim !== dims[axis])) {
      throw wrongWeightShape(this.#weights.description, place, found, dims);
    }
  }

  /** What a graph can take: the place in the file, or f32 elements where the file's own cannot be used. */
  source(name: string, dims: readonly number[]): Tensor | StoredTensor {
    this.check(name, dims);
    const place = this.#naming(name);
    const stored = this.#weights.stored(place.name);
    const usable = place.convert === undefined && isGraphDType(stored.dtype);
    return usable
      ? stored
      : tensor("float32", dims, this.readFloat32(name) as Float32Array<ArrayBuffer>);
  }

  /** Whole tensor as f32. */
  readFloat32(name: string): Float32Array {
    const { name: place, convert } = this.#naming(name);
    const elements = this.#weights.readFloat32(place);
    return convert === undefined
      ? elements
      : convert(elements, this.#weights.dims(place) ?? [elements.length]);
  }

  /** Rows [from, to) of the outermost dimension as f32; only for tensors that need no conversion across rows. */
  readRows(name: string, from: number, to: number): Float32Array {
    return this.#weights.readRows(this.#naming(name).name, from, to);
  }

  /** Where rows [from, to) of a matrix lie, or their elements. */
  rowSource(
    name: string,
    dims: readonly [number, number],
    rows: readonly [number, number],
  ): Tensor | StoredTensor {
    const stored = this.source(name, dims);
    const [from, to] = rows;
    const width = dims[1];
    if (!("file" in stored) || !isGraphDType(stored.dtype)) {
      return tensor(
        "float32",
        [to - from, width],
        this.readRows(name, from, to) as Float32Array<ArrayBuffer>,
      );
    }
    const rowBytes = width * bytesPerElement[stored.dtype];
    return {
      ...stored,
      offset: stored.offset + from * rowBytes,
      byteLength: (to - from) * rowBytes,
      dims: [to - from, width],
    };
  }

  /** Throws if an element is NaN or infinite. */
  checkFinite(name: string): void {
    const elements = this.readFloat32(name);
    const index = elements.findIndex((element) => !Number.isFinite(element));
    if (index >= 0) {
      const place = this.#naming(name).name;
      throw nonFiniteWeight(this.#weights.description, place, index, elements[index] ?? Number.NaN);
    }
  }
}

/**
 * Names as they are, but for an outer prefix that exports spell differently: the first of `prefixes` is ours, the file's
 * is the one under which it has `probe`.
 */
export function prefixNaming(
  weights: Weights,
  prefixes: readonly string[],
  probe: string,
): WeightNaming {
  const [ours = ""] = prefixes;
  const found = prefixes.find(
    (prefix) => weights.dims(prefix + probe.slice(ours.length)) !== undefined,
  );
  return (name) => ({
    name: name.startsWith(ours) ? (found ?? ours) + name.slice(ours.length) : name,
  });
}

/** Element types that a graph takes as f32 without a copy in JavaScript. */
function isGraphDType(dtype: StoredTensor["dtype"]): dtype is "float32" | "float16" | "bfloat16" {
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16";
}
