import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Graph } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { Device } from "../../server/runtime/device.ts";
import { type DType, type StoredTensor, tensor } from "../../server/tensor/tensor.ts";

const device = new Device("cpu", 1, 2 ** 30);
const folder = realpathSync(mkdtempSync(join(tmpdir(), "external weights-")));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes `bytes` at an offset of a new file. */
function place(
  path: string,
  offset: number,
  dtype: DType,
  data: Float32Array | Uint16Array,
): StoredTensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const file = join(folder, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, Buffer.concat([Buffer.alloc(offset, 0xff), bytes, Buffer.alloc(5, 0xff)]));
  const dims = [2, data.length / 2];
  return { file, offset, byteLength: bytes.length, dtype, dims };
}

/** x [1, 2] times the weight. */
async function multiply(weight: StoredTensor, options: object = {}): Promise<number[]> {
  const graph = new Graph("external");
  const x = graph.input("x", "float32", ["tokens", 2]);
  graph.output("y", op.matmul(x, graph.weight("W", weight)));
  const session = await device.load(graph, { label: "external", ...options });
  const feed = { x: tensor("float32", [1, 2], Float32Array.of(1, 10)) };
  const { y } = await session.run(feed, ["y"]);
  await session.release();
  return Array.from(y!.data as Float32Array);
}

// 1, 2, 3, 4 in each type.
const f32 = Float32Array.of(1, 2, 3, 4);
const f16 = Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400);
const bf16 = Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4080);
const product = [31, 42];

describe("weights in files", () => {
  for (const offset of [0, 8, 1883]) {
    test(`float32 at byte ${offset}`, async () =>
      expect(await multiply(place(`f32-${offset}.bin`, offset, "float32", f32))).toEqual(product));
    test(`float16 at byte ${offset}`, async () =>
      expect(await multiply(place(`f16-${offset}.bin`, offset, "float16", f16))).toEqual(product));
    test(`bfloat16 at byte ${offset}`, async () =>
      expect(await multiply(place(`bf16-${offset}.bin`, offset, "bfloat16", bf16))).toEqual(
        product,
      ));
  }
  test("without folding and prepacking", async () => {
    const weight = place("lazy.bin", 3, "bfloat16", bf16);
    expect(await multiply(weight, { fold: false, prepack: false })).toEqual(product);
  });
  test("behind a symbolic link, by the path it resolves to", async () => {
    const { file, ...rest } = place("blobs/0a1b", 11, "float32", f32);
    mkdirSync(join(folder, "snapshots"));
    const link = join(folder, "snapshots/model.safetensors");
    symlinkSync(file, link);
    expect(await multiply({ file: realpathSync(link), ...rest })).toEqual(product);
  });
  test("in several folders", async () => {
    const graph = new Graph("external");
    const x = graph.input("x", "float32", ["tokens", 2]);
    const a = graph.weight("a", place("one/a.bin", 1, "float32", f32));
    const b = graph.weight("b", place("two/deep/b ü.bin", 2, "float16", f16));
    graph.output("y", op.matmul(op.matmul(x, a), b));
    const session = await device.load(graph, { label: "external" });
    const feed = { x: tensor("float32", [1, 2], Float32Array.of(1, 10)) };
    expect(Array.from((await session.run(feed, ["y"]))["y"]!.data as Float32Array)).toEqual([
      31 + 3 * 42,
      2 * 31 + 4 * 42,
    ]);
  });
  test("that are missing are an error with the session's label", async () => {
    const weight = place("gone.bin", 0, "float32", f32);
    rmSync(weight.file);
    await expect(multiply(weight)).rejects.toThrow(/^external: .*gone\.bin/);
  });
  test("that are cut short are an error", async () => {
    const weight = place("short.bin", 0, "float32", f32);
    writeFileSync(weight.file, Buffer.alloc(7));
    await expect(multiply(weight)).rejects.toThrow(/^external: /);
  });
});
