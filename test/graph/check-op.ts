/**
 * Runs one op on the CPU and compares it with a plain TypeScript reference.
 */
import { expect } from "vitest";
import { Graph, type Value } from "../../server/graph/graph.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { type DType, sizeOf, type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { testDeviceName } from "../test-device.ts";

/** What is fed: a shape (pseudo-random f32 elements) or a tensor. */
export type Feed = readonly number[] | Tensor;

const opened = openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 33 });

/** Evenly spread pseudo-random numbers in (-2, 2), the same at every run. */
export function randomTensor(dims: readonly number[], seed = 1): Tensor<"float32"> {
  let state = seed * 2654435761;
  const data = Float32Array.from({ length: sizeOf(dims) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 4 - 2;
  });
  return tensor("float32", dims, data);
}

/** Builds the graph of an op over these feeds, runs it, and returns every output. */
export async function runOp(
  feeds: readonly Feed[],
  build: (...inputs: Value[]) => Value | readonly Value[],
  symbolic: readonly (readonly (string | number)[])[] = [],
): Promise<{ outputs: Tensor[]; values: readonly Value[] }> {
  const graph = new Graph("test");
  const tensors = feeds.map((feed, i) => ("dtype" in feed ? feed : randomTensor(feed, i + 1)));
  const inputs = tensors.map(({ dtype, dims }, i) =>
    graph.input(`x${i}`, dtype, symbolic[i] ?? dims),
  );
  const built = build(...inputs);
  const values = "dtype" in built ? [built] : built;
  values.forEach((value, i) => graph.output(`y${i}`, value));
  const { device } = await opened;
  const session = await device.load(graph, { label: "test" });
  const feed = Object.fromEntries(tensors.map((x, i) => [`x${i}`, x]));
  const names = values.map((_, i) => `y${i}`);
  const results = await session.run(feed, names);
  await session.release();
  return { outputs: names.map((name) => results[name]!), values };
}

/** Checks an op's elements against `reference`, and its shape rule against the shape that the device returns. */
export async function checkOp(
  feeds: readonly Feed[],
  build: (...inputs: Value[]) => Value,
  reference: (...inputs: Tensor[]) => ArrayLike<number | bigint>,
  options: { atol?: number; dtype?: DType } = {},
): Promise<void> {
  const { outputs, values } = await runOp(feeds, build);
  const [y] = outputs;
  expect(y!.dims).toEqual(values[0]!.dims);
  expect(y!.dtype).toBe(values[0]!.dtype);
  if (options.dtype) expect(y!.dtype).toBe(options.dtype);
  const inputs = feeds.map((feed, i) => ("dtype" in feed ? feed : randomTensor(feed, i + 1)));
  const expected = Array.from(reference(...inputs), Number);
  const found = Array.from(y!.data, Number);
  expect(found.length).toBe(expected.length);
  const atol = options.atol ?? 2e-6;
  expected.forEach((value, i) => {
    const bound = atol * Math.max(1, Math.abs(value));
    const same = Object.is(found[i], value) || Math.abs(found[i]! - value) <= bound;
    expect(same, `element ${i}: found ${found[i]}, expected ${value}`).toBe(true);
  });
}
