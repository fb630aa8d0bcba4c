/**
 * The largest of long rows on GPUs. ONNX Runtime's TopK for WebGPU sorts up to 2,048 numbers in a workgroup's own memory, in
 * one pass over them; longer rows it sorts in global memory, in log²(n)/2 passes, 105 for 9,216 numbers (onnxruntime 1.30,
 * core/providers/webgpu/math/top_k.cc). So rows are cut into equal stretches first: a row's k largest are among the k
 * largest of its stretches.
 */
import { tensor } from "../tensor/tensor.ts";
import type { Value } from "./graph.ts";
import { add, gather, gatherElements, reshape, topk } from "./ops/index.ts";

/** As many numbers TopK sorts in one pass. */
const sortedAtOnce = 2048;
/** Shorter stretches would give as many candidates as there are numbers. */
const shortest = 32;

/** Into how many equal stretches of at most 2,048 a row is cut; 1 if it has no such divisor. */
export function stretchesOf(width: number): number {
  for (let n = Math.ceil(width / sortedAtOnce); n <= width / shortest; n++)
    if (width % n === 0) return n;
  return 1;
}

/**
 * `topk` of rows in stretches: the k largest, largest first, and their places in the row as float32, exact up to 2^24
 * (integers of 64 bits are no numbers of a GPU). `perStretch` is how many of a stretch come into question, k or the
 * stretch's length. `[rows, n] -> [rows, k]` twice
 */
export function topkInStretches(
  x: Value,
  k: Value | number,
  perStretch: Value | number,
): { values: Value; places: Value } {
  const width = x.dims[1] as number;
  const stretches = stretchesOf(width);
  const length = width / stretches;
  const constant = (dims: readonly number[], factor: number) => {
    const data = Float32Array.from({ length: Math.max(...dims) }, (_, at) => at * factor);
    return x.graph.constant(tensor("float32", dims, data));
  };
  const own = topk(reshape(x, [0, stretches, length]), perStretch, { kDim: "candidates" });
  const places = add(gather(constant([length], 1), own.indices), constant([stretches, 1], length));
  const { values, indices } = topk(reshape(own.values, [0, -1]), k);
  return { values, places: gatherElements(reshape(places, [0, -1]), indices, 1) };
}
