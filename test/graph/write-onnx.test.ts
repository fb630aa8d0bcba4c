import { describe, expect, test } from "vitest";
import { Graph } from "../../server/graph/graph.ts";
import { commonFolder } from "../../server/graph/onnx/external-folder.ts";
import { Message } from "../../server/graph/onnx/protobuf.ts";
import { writeOnnx } from "../../server/graph/onnx/write-onnx.ts";
import * as op from "../../server/graph/ops/index.ts";

const hex = (message: Message) => Buffer.from(message.finish()).toString("hex");

describe("protobuf", () => {
  // The examples of https://protobuf.dev/programming-guides/encoding.
  test("a number", () => expect(hex(new Message().int(1, 150))).toBe("089601"));
  test("a negative number", () =>
    expect(hex(new Message().int(1, -2))).toBe("08feffffffffffffffff01"));
  test("a large number", () => expect(hex(new Message().int(1, 2 ** 40))).toBe("08808080808020"));
  test("a string", () =>
    expect(hex(new Message().string(2, "testing"))).toBe("120774657374696e67"));
  test("a message", () =>
    expect(hex(new Message().message(3, new Message().int(1, 150)))).toBe("1a03089601"));
  test("a float", () => expect(hex(new Message().float(1, 1))).toBe("0d0000803f"));
  test("a field above 15", () => expect(hex(new Message().int(20, 1))).toBe("a00101"));
});

describe("the folder of external weights", () => {
  test("of one file", () => expect(commonFolder(["/a/b/c.gguf"])).toBe("/a/b"));
  test("of two folders", () => expect(commonFolder(["/a/b/c", "/a/bb/d"])).toBe("/a"));
  test("the root", () => expect(commonFolder(["/a/c", "/b/d"])).toBe("/"));
  test("on Windows", () => expect(commonFolder(["C:\\a\\b\\c", "C:\\a\\d"])).toBe("C:\\a"));
  test("on two drives", () =>
    expect(() => commonFolder(["C:\\a\\b", "D:\\a\\b"])).toThrow("different drives"));
  test("of no file", () => expect(commonFolder([])).toBeUndefined());
});

test("stored weights are written as places in files", () => {
  const graph = new Graph("external");
  const x = graph.input("x", "float32", ["tokens", 2]);
  const place = { offset: 7, byteLength: 16, dtype: "float32", dims: [2, 2] } as const;
  const a = graph.weight("a", { file: "/models/base/a.bin", ...place });
  const b = graph.weight("b", { file: "/models/sae/b.bin", ...place });
  graph.weight("unused", { file: "/elsewhere/c.bin", ...place });
  graph.output("y", op.matmul(op.matmul(x, a), b));
  const { bytes, externalFolder } = writeOnnx(graph);
  expect(externalFolder).toBe("/models");
  const text = Buffer.from(bytes).toString("latin1");
  expect(text).toContain("base/a.bin");
  expect(text).toContain("sae/b.bin");
  expect(text).not.toContain("unused");
  expect(bytes.length).toBeLessThan(700);
});
