import { describe, expect, test } from "vitest";
import { type Dim, Graph, type Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { tensor } from "../../server/tensor/tensor.ts";

/** Inputs of these shapes in one graph. */
function inputs(...shapes: (readonly Dim[])[]): Value[] {
  const graph = new Graph("block");
  return shapes.map((dims, i) => graph.input(`x${i}`, "float32", dims));
}

/** Checks the shape that an op gives for symbolic inputs. */
function checkShape(
  shapes: (readonly Dim[])[],
  build: (...x: Value[]) => Value,
  expected: readonly Dim[],
) {
  expect(build(...inputs(...shapes)).dims).toEqual(expected);
}

/** Checks the text of a shape error. */
function checkError(
  shapes: (readonly Dim[])[],
  build: (...x: Value[]) => unknown,
  expected: string,
) {
  expect(() => build(...inputs(...shapes))).toThrow(new Error(expected));
}

describe("symbolic shapes", () => {
  test("concat adds names", () =>
    checkShape(
      [
        ["past", 64],
        ["tokens", 64],
      ],
      (a, b) => op.concat([a, b], 0),
      ["past+tokens", 64],
    ));
  test("matmul broadcasts names", () =>
    checkShape(
      [
        [9, "tokens", 64],
        [9, 64, "past+tokens"],
      ],
      op.matmul,
      [9, "tokens", "past+tokens"],
    ));
  test("a mask stretches over heads", () =>
    checkShape(
      [
        [9, "tokens", "past+tokens"],
        ["tokens", "tokens + past"],
      ],
      op.add,
      [9, "tokens", "past+tokens"],
    ));
  test("reshape splits heads", () =>
    checkShape([["tokens", 576]], (x) => op.reshape(x, [0, 9, -1]), ["tokens", 9, 64]));
  test("reshape merges heads", () =>
    checkShape([["tokens", 9, 64]], (x) => op.reshape(x, ["tokens", -1]), ["tokens", 576]));
  test("reshape merges names", () =>
    checkShape([["batch", "tokens", 8]], (x) => op.reshape(x, [-1, 8]), ["batch*tokens", 8]));
  test("a slice up to the end", () =>
    checkShape([["tokens", 8]], (x) => op.slice(x, { axis: 0, from: 1 }), ["tokens-1", 8]));
  test("a slice of the last row", () =>
    checkShape([["tokens", 8]], (x) => op.slice(x, { axis: 0, from: -1 }), [1, 8]));
  test("gather takes the shape of the indices", () => {
    const graph = new Graph("embed");
    const ids = graph.input("ids", "int64", ["tokens"]);
    const W_E = graph.input("W_E", "float32", [100, 8]);
    expect(op.gather(W_E, ids).dims).toEqual(["tokens", 8]);
  });
  test("expand to a name of another value", () =>
    checkShape(
      [
        [1, 8],
        ["tokens", 8],
      ],
      op.expandLike,
      ["tokens", 8],
    ));
});

describe("shape errors show op, shapes and the dimension", () => {
  test("matmul", () =>
    checkError(
      [
        ["tokens", 576],
        [512, 64],
      ],
      op.matmul,
      "matmul(f32[tokens, 576], f32[512, 64]) in block: inner dimension is 576 on the left and 512 on the right",
    ));
  test("a name equals only itself", () =>
    checkError(
      [
        ["tokens", 8],
        ["past", 8],
      ],
      op.add,
      "add(f32[tokens, 8], f32[past, 8]) in block: dimension -2 is tokens in one and past in the other",
    ));
  test("gemm's added term", () =>
    checkError(
      [["tokens", 8], [8, 4], [5]],
      (a, b, c) => op.gemm(a, b, c),
      "gemm(f32[tokens, 8], f32[8, 4], f32[5]) in block: dimension -1 is 4 in one and 5 in the other",
    ));
  test("reshape", () =>
    checkError(
      [["tokens", 576]],
      (x) => op.reshape(x, [0, 10, -1]),
      "reshape(f32[tokens, 576]) in block: 576*tokens elements do not fit [tokens, 10, -1]",
    ));
  test("concat", () =>
    checkError(
      [
        ["past", 64],
        ["tokens", 32],
      ],
      (a, b) => op.concat([a, b], 0),
      "concat(f32[past, 64], f32[tokens, 32]) in block: dimension 1 is 64 in one and 32 in another",
    ));
  test("split", () =>
    checkError(
      [["tokens", 10]],
      (x) => op.split(x, [4, 4], 1),
      "split(f32[tokens, 10]) in block: sizes sum to 8, but dimension 1 is 10",
    ));
  test("topk", () =>
    checkError(
      [["tokens", 8]],
      (x) => op.topk(x, 9),
      "topk(f32[tokens, 8], i64[1]) in block: k is 9, but dimension 1 is 8",
    ));
  test("rmsNorm", () =>
    checkError(
      [["tokens", 8], [4]],
      (x, scale) => op.rmsNorm(x, scale, 1e-5),
      "rmsNorm(f32[tokens, 8], f32[4]) in block: the last dimension is 8, but a weight has [4]",
    ));
  test("rotary", () =>
    checkError(
      [
        ["tokens", 3, 8],
        ["tokens", 6],
        ["tokens", 6],
      ],
      (x, cos, sin) => op.rotary(x, cos, sin),
      "rotary in block: cos and sin must be [tokens, half of what turns] for heads of 8, found [tokens, 6]",
    ));
  test("an axis that is not there", () =>
    checkError(
      [["tokens", 8]],
      (x) => op.softmax(x, 2),
      "softmax(f32[tokens, 8]) in block: axis 2 is not one of 2",
    ));
  test("slice outside", () =>
    checkError(
      [["tokens", 8]],
      (x) => op.slice(x, { axis: 1, from: 4, to: 9 }),
      "slice(f32[tokens, 8]) in block: [4, 9) is not a range of dimension 1, which is 8",
    ));
  test("element types", () => {
    const graph = new Graph("block");
    const ids = graph.input("ids", "int64", ["tokens"]);
    const x = graph.input("x", "float32", ["tokens"]);
    expect(() => op.add(x, ids)).toThrow(
      new Error("add(f32[tokens], i64[tokens]) in block: element types float32 and int64 differ"),
    );
  });
  test("values of two graphs", () => {
    const [a] = inputs(["tokens"]);
    const b = new Graph("other").input("b", "float32", ["tokens"]);
    expect(() => op.add(a!, b)).toThrow(
      new Error("add(f32[tokens], f32[tokens]) in block: b belongs to graph other"),
    );
  });
});

describe("weights", () => {
  const stored = {
    file: "/weights/model.safetensors",
    offset: 1883,
    byteLength: 24,
    dtype: "bfloat16",
    dims: [4, 3],
  } as const;
  test("are float32 values whatever their file holds", () => {
    const graph = new Graph("block");
    expect(graph.weight("W", stored)).toMatchObject({ dtype: "float32", dims: [4, 3] });
  });
  test("are one value for one name", () => {
    const graph = new Graph("block");
    expect(graph.weight("W", stored)).toBe(graph.weight("W", stored));
    expect(() => graph.weight("W", { ...stored })).toThrow("two weights are named W");
  });
  test("can be reshaped", () => {
    const graph = new Graph("block");
    expect(graph.weight("W", stored, { dims: [2, 6] }).dims).toEqual([2, 6]);
    expect(() => graph.weight("V", stored, { dims: [5, 2] })).toThrow(
      "weight V: [4, 3] has not the elements of [5, 2]",
    );
  });
  test("must have their bytes", () => {
    const graph = new Graph("block");
    expect(() => graph.weight("W", { ...stored, byteLength: 20 })).toThrow(
      "weight W: 20 bytes where its shape needs 24",
    );
  });
  test("must not be blocks", () => {
    const graph = new Graph("block");
    expect(() => graph.weight("W", { ...stored, dtype: "Q8_0" })).toThrow(
      "weight W is stored in blocks (Q8_0)",
    );
  });
  test("equal constants are one value", () => {
    const graph = new Graph("block");
    const two = () => op.constant(graph, tensor("float32", [2], Float32Array.of(1, 2)));
    expect(two()).toBe(two());
    expect(op.scalar(graph, 1)).toBe(op.scalar(graph, 1));
    expect(op.scalar(graph, 1)).not.toBe(op.scalar(graph, 1, "int64"));
  });
});
