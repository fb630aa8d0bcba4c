import { describe, expect, test } from "vitest";
import { isCancelled, UserError } from "../../server/base/errors.ts";
import { Graph } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { Device } from "../../server/runtime/device.ts";
import { type DType, type Tensor, tensor } from "../../server/tensor/tensor.ts";

const device = new Device("cpu", 1, 2 ** 30);

/** A session that concatenates past and new rows: ["past", 2] and ["tokens", 2]. */
function rowsSession() {
  const graph = new Graph("rows");
  const past = graph.input("past", "float32", ["past", 2]);
  const x = graph.input("x", "float32", ["tokens", 2]);
  const mask = graph.input("mask", "float32", ["tokens", "past+tokens"]);
  graph.output("rows", op.concat([past, x], 0));
  graph.output("masked", op.add(op.matmul(x, op.transpose(op.concat([past, x], 0), [1, 0])), mask));
  graph.output("same", x);
  return device.load(graph, { label: "rows" });
}

const f32 = (dims: number[], ...values: number[]) =>
  tensor("float32", dims, Float32Array.from(values));
const feeds = {
  past: f32([0, 2]),
  x: f32([1, 2], 3, 4),
  mask: f32([1, 1], 0.5),
};

describe("a run", () => {
  test("returns what is fetched", async () => {
    const session = await rowsSession();
    const results = await session.run(feeds, ["rows", "masked", "same"]);
    expect(results).toEqual({
      rows: f32([1, 2], 3, 4),
      masked: f32([1, 1], 25.5),
      same: f32([1, 2], 3, 4),
    });
    expect(Object.keys(await session.run(feeds, ["masked"]))).toEqual(["masked"]);
    await session.release();
  });

  test("does not start when it is cancelled", async () => {
    const session = await rowsSession();
    const controller = new AbortController();
    controller.abort();
    const error = await session.run(feeds, ["rows"], controller.signal).catch((e: unknown) => e);
    expect(isCancelled(error)).toBe(true);
    await session.release();
  });

  test("lets a cancellation in before the next one", async () => {
    const session = await rowsSession();
    const controller = new AbortController();
    let runs = 0;
    setImmediate(() => controller.abort());
    const chain = async () => {
      for (; runs < 100; runs++) await session.run(feeds, ["rows"], controller.signal);
    };
    const error = await chain().catch((e: unknown) => e);
    expect(isCancelled(error)).toBe(true);
    expect(runs).toBeLessThan(3);
    await session.release();
  });

  test("after the release is a bug with the session's label", async () => {
    const session = await rowsSession();
    await session.release();
    await session.release();
    await expect(session.run(feeds, ["rows"])).rejects.toThrow("rows: the session was released");
  });
});

const checkError = async (changes: Record<string, Tensor>, text: string) => {
  const session = await rowsSession();
  await expect(session.run({ ...feeds, ...changes }, ["rows"])).rejects.toThrow(text);
  await session.release();
};

describe("feeds are checked", () => {
  test("for shape", () =>
    checkError(
      { x: f32([1, 3], 1, 2, 3) },
      "rows: input x: found float32[1, 3], expected float32[tokens, 2]",
    ));
  test("for element type", () =>
    checkError(
      { x: tensor("int32", [1, 2], Int32Array.of(1, 2)) },
      "rows: input x: found int32[1, 2], expected float32[tokens, 2]",
    ));
  test("for one size of each name", () =>
    checkError(
      { mask: f32([1, 2], 0, 0) },
      "rows: input mask: found float32[1, 2], expected float32[tokens, past+tokens] where past+tokens is 1",
    ));
  test("for an input that is not there", () => checkError({ y: f32([1], 1) }, "rows: no input y"));
  test("for an input that is missing", async () => {
    const session = await rowsSession();
    await expect(session.run({ x: feeds.x }, ["rows"])).rejects.toThrow(
      "rows: input past is not fed",
    );
    await session.release();
  });
});

describe("element types go in and come out", () => {
  const tensors: Tensor[] = [
    f32([2], 1.5, -2),
    tensor("float64", [2], Float64Array.of(0.1, -2)),
    tensor("float16", [2], Uint16Array.of(0x3c00, 0xc000)),
    tensor("int8", [2], Int8Array.of(-1, 2)),
    tensor("uint8", [2], Uint8Array.of(1, 200)),
    tensor("int16", [2], Int16Array.of(-1, 2)),
    tensor("uint16", [2], Uint16Array.of(1, 60000)),
    tensor("int32", [2], Int32Array.of(-1, 2)),
    tensor("uint32", [2], Uint32Array.of(1, 4e9)),
    tensor("int64", [2], BigInt64Array.of(-1n, 2n ** 62n)),
    tensor("uint64", [2], BigUint64Array.of(1n, 2n ** 63n)),
    tensor("bool", [2], Uint8Array.of(0, 1)),
  ];
  for (const x of tensors) {
    test(x.dtype, async () => {
      const graph = new Graph("same");
      graph.output("y", op.identity(graph.input("x", x.dtype, ["n"])));
      const session = await device.load(graph, { label: "same" });
      expect((await session.run({ x }, ["y"]))["y"]).toEqual(x);
      await session.release();
    });
  }
  test("a view into a larger buffer", async () => {
    const data = new Float32Array(Float32Array.of(9, 1, 2, 9).buffer, 4, 2);
    const graph = new Graph("same");
    graph.output("y", op.neg(graph.input("x", "float32", ["n"])));
    const session = await device.load(graph, { label: "same" });
    const { y } = await session.run({ x: tensor("float32", [2], data) }, ["y"]);
    expect(y).toEqual(f32([2], -1, -2));
    await session.release();
  });
  test("bfloat16 cannot be fed, and says so", async () => {
    const graph = new Graph("half");
    graph.output("y", op.cast(graph.input("x", "bfloat16" as DType, ["n"]), "float32"));
    const load = device.load(graph, { label: "half" });
    await expect(load).rejects.toThrow("half: Unsupported data type: 16");
  });
});

describe("what goes wrong on the device", () => {
  test("is an error with the session's label and ONNX Runtime's words", async () => {
    const graph = new Graph("lookup");
    const table = graph.input("table", "float32", ["rows"]);
    graph.output("y", op.gather(table, graph.input("ids", "int32", ["n"])));
    const session = await device.load(graph, { label: "lookup" });
    const run = session.run(
      { table: f32([2], 1, 2), ids: tensor("int32", [1], Int32Array.of(7)) },
      ["y"],
    );
    const error = await run.catch((e: unknown) => e as Error);
    expect((error as Error).message).toMatch(/^lookup: .*indices element out of data bounds/);
    expect((error as Error).cause).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(UserError);
    await session.release();
  });
  test("an output that is not there", async () => {
    const session = await rowsSession();
    await expect(session.run(feeds, ["nowhere"])).rejects.toThrow(/^rows: .*nowhere/);
    await session.release();
  });
  test("no memory is a user error", async () => {
    const graph = new Graph("huge");
    const x = graph.input("x", "float32", ["n", 1]);
    graph.output("y", op.reduceSum(op.expand(x, ["n", 2 ** 40]), [0, 1]));
    const session = await device.load(graph, { label: "huge" });
    const error = await session.run({ x: f32([2, 1], 1, 2) }, ["y"]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({
      code: "outOfMemory",
      message: "huge: the device is out of memory. Unload a model or SAE, or choose the device cpu",
    });
    await session.release();
  });
});
