/** Choices among rows and batches in stretches, against sorting. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Graph } from "../../server/graph/graph.ts";
import { stretchesOf } from "../../server/graph/stretches.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import {
  largestOfBatch,
  largestOfRows,
  leastOfRows,
  meanSmallestOfRows,
} from "../../server/training/largest-on-device.ts";
import { seeded } from "../random.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const rows = 4;
const k = 12;

function numbers(width: number): Float32Array {
  const random = seeded(width);
  return Float32Array.from({ length: rows * width }, () => Math.fround(random() - 0.5));
}

const descending = (data: ArrayLike<number>) => Array.from(data).sort((a, b) => b - a);

test.each([
  [64, 1],
  [2048, 1],
  [9216, 6],
  [24576, 12],
  // 9,217 = 13 · 709
  [9217, 13],
  // A prime: the rows stay whole.
  [4099, 1],
])("width %i in %i stretches", async (width, stretches) => {
  expect(stretchesOf(width)).toBe(stretches);
  const data = numbers(width);
  const graph = new Graph("largest");
  const x = graph.input("x", "float32", ["batch", width]);
  const largest = largestOfRows(x, k);
  graph.output("least", leastOfRows(largest));
  graph.output("mean", meanSmallestOfRows(largest));
  const session = await device.load(graph, { label: "largest" });
  const out = await session.run({ x: tensor("float32", [rows, width], data) }, ["least", "mean"]);
  const wanted = Array.from(
    { length: rows },
    (_, row) => descending(data.subarray(row * width, (row + 1) * width))[k - 1]!,
  );
  expect([...out["least"]!.data]).toEqual(wanted);
  expect(out["mean"]!.data[0]).toBeCloseTo(wanted.reduce((sum, it) => sum + it) / rows, 6);
  await session.release();
});

test.each([4, 16, 1536])("%i candidates of a stretch of 1,536", async (candidates) => {
  const width = 9216;
  const data = numbers(width);
  const graph = new Graph("largest of all");
  const x = graph.input("x", "float32", ["batch", width]);
  const count = graph.input("count", "int64", [1]);
  const { least, overlooked, smallest } = largestOfBatch(x, count, candidates);
  graph.output("least", least);
  graph.output("smallest", smallest);
  if (overlooked) graph.output("overlooked", overlooked);
  const session = await device.load(graph, { label: "largest of all" });
  const out = await session.run(
    {
      x: tensor("float32", [rows, width], data),
      count: tensor("int64", [1], BigInt64Array.of(BigInt(k * rows))),
    },
    [...graph.outputs.keys()],
  );
  const exact = descending(data)[k * rows - 1]!;
  // Whether something may be missing is known, and then the next try has more candidates.
  const isSure = !overlooked || Number(out["overlooked"]!.data[0]) < Number(out["least"]!.data[0]);
  expect(isSure).toBe(candidates > 4);
  if (isSure) expect(out["least"]!.data[0]).toBe(exact);
  if (isSure) expect(out["smallest"]!.data[0]).toBe(exact);
  await session.release();
});

test("of rows without positive numbers there is no smallest", async () => {
  const graph = new Graph("none");
  const x = graph.input("x", "float32", ["batch", 3]);
  graph.output("mean", meanSmallestOfRows(x));
  const session = await device.load(graph, { label: "none" });
  const mean = async (...data: number[]) => {
    const out = await session.run({ x: tensor("float32", [2, 3], Float32Array.from(data)) }, [
      "mean",
    ]);
    return out["mean"]!.data[0];
  };
  expect(await mean(-1, 0, -2, 3, 5, -1)).toBe(3);
  expect(await mean(-1, 0, -2, -3, 0, -1)).toBeNaN();
  await session.release();
});
