import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { openGguf } from "../../server/files/gguf.ts";
import { openWeights } from "../../server/files/weights.ts";
import { float32ToBfloat16, float32ToFloat16, toFloat32 } from "../../server/tensor/half.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { describeWith, repoRoot, shared } from "../parts.ts";
import { refusal, scratchFolder } from "./scratch.ts";

const folder = scratchFolder();
const wholeNumbers = Float32Array.from({ length: 3 * 4 * 2 }, (_, i) => i - 9);
const dims = [3, 4, 2];
const sameInAllTypes = new Map<string, Tensor>([
  ["f32", tensor("float32", dims, wholeNumbers)],
  ["f64", tensor("float64", dims, Float64Array.from(wholeNumbers))],
  ["f16", tensor("float16", dims, float32ToFloat16(wholeNumbers))],
  ["bf16", tensor("bfloat16", dims, float32ToBfloat16(wholeNumbers))],
  ["i8", tensor("int8", dims, Int8Array.from(wholeNumbers))],
  ["i16", tensor("int16", dims, Int16Array.from(wholeNumbers))],
  ["i32", tensor("int32", dims, Int32Array.from(wholeNumbers))],
  ["i64", tensor("int64", dims, BigInt64Array.from([...wholeNumbers].map(BigInt)))],
]);

function save(name: string, tensors: Map<string, Tensor>): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, writeSafetensors(tensors));
  return path;
}

test("tensors of every element type read as float32, whole and by rows", () => {
  const weights = openWeights(save("types.safetensors", sameInAllTypes));
  for (const name of sameInAllTypes.keys()) {
    expect(weights.dims(name)).toEqual(dims);
    expect(weights.readFloat32(name)).toEqual(wholeNumbers);
    expect(weights.readRows(name, 1, 3)).toEqual(wholeNumbers.slice(8));
    expect(weights.readRows(name, 2, 2)).toEqual(new Float32Array(0));
  }
  weights.close();
});

test("a tensor longer than one piece converts without a seam", () => {
  const bits = Uint16Array.from({ length: 3 * 200_000 }, (_, i) => i % 0x7c00);
  const long = tensor("float16", [3, 200_000], bits);
  const weights = openWeights(save("long.safetensors", new Map([["w", long]])));
  expect(same(weights.readFloat32("w"), toFloat32(long))).toBe(true);
  expect(same(weights.readRows("w", 1, 3), toFloat32(long).subarray(200_000))).toBe(true);
});

test("a real folder reads as its file does, and a link leads to the real file", () => {
  const lm = join(repoRoot, "test/golden/tiny-lms/llama");
  symlinkSync(lm, join(folder, "linked"));
  const weights = openWeights(join(folder, "linked"));
  const all = readSafetensors(new Uint8Array(readFileSync(join(lm, "model.safetensors"))));
  expect([...weights.names()].sort()).toEqual([...all.keys()].sort());
  for (const [name, t] of all) expect(weights.readFloat32(name)).toEqual(toFloat32(t));
  const place = weights.stored("model.norm.weight");
  expect(place.file).toBe(join(lm, "model.safetensors"));
  const bytes = readFileSync(place.file).subarray(place.offset, place.offset + place.byteLength);
  expect(new Float32Array(new Uint8Array(bytes).buffer)).toEqual(
    weights.readFloat32("model.norm.weight"),
  );
  weights.close();
});

test("shards read as one", () => {
  save("shards/model-00001-of-00002.safetensors", new Map([["a", sameInAllTypes.get("f16")!]]));
  save("shards/model-00002-of-00002.safetensors", new Map([["b", sameInAllTypes.get("i32")!]]));
  writeIndex("shards", {
    a: "model-00001-of-00002.safetensors",
    b: "model-00002-of-00002.safetensors",
  });
  const weights = openWeights(join(folder, "shards"));
  expect(weights.names()).toEqual(["a", "b"]);
  expect(weights.readFloat32("a")).toEqual(weights.readFloat32("b"));
  weights.close();
});

test.each([
  [
    "outside.json",
    { a: "../types.safetensors" },
    'tensor "a" is in "../types.safetensors", no file',
  ],
  ["absent.json", { a: "gone.safetensors" }, "gone.safetensors is missing"],
  ["wrong.json", { a: "x.safetensors" }, 'x.safetensors has no tensor "a"'],
  ["none.json", undefined, "it has no weight_map"],
])("a bad shard index is refused: %s", (name, map, text) => {
  save(`${name}/x.safetensors`, new Map());
  writeIndex(name, map);
  const error = refusal(() => openWeights(join(folder, name)));
  expect(error.code).toBe("bad-shard-index");
  expect(error.message).toContain(text);
});

test("a missing tensor is named with the file and the likeliest others", () => {
  const path = save("few.safetensors", new Map([...sameInAllTypes].slice(0, 4)));
  const error = refusal(() => openWeights(path).readFloat32("f17"));
  expect(error.code).toBe("missing-tensor");
  expect(error.message).toMatch(/few\.safetensors has no tensor "f17"; it has f16, /);
});

test("truncated and absent weights are refused by path", () => {
  const path = save("cut.safetensors", sameInAllTypes);
  const weights = openWeights(path);
  truncateSync(path, 600);
  expect(refusal(() => weights.readFloat32("i8")).code).toBe("file-changed");
  expect(refusal(() => openWeights(path)).message).toMatch(
    /cut\.safetensors: not a whole safetensors file: .* the file has 600/,
  );
  expect(refusal(() => openWeights(join(folder, "none"))).code).toBe("file-not-found");
  writeFileSync(join(folder, "weights.bin"), "");
  expect(refusal(() => openWeights(join(folder, "weights.bin"))).code).toBe("unknown-weights-file");
  mkdirSync(join(folder, "empty"));
  expect(refusal(() => openWeights(join(folder, "empty"))).message).toContain("found nothing");
});

function writeIndex(name: string, weight_map: Record<string, string> | undefined): void {
  writeFileSync(
    join(folder, name, "model.safetensors.index.json"),
    JSON.stringify({ metadata: {}, weight_map }),
  );
}

/** Equality of long arrays; the matcher's own takes seconds. */
function same(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

test("a GGUF file reads as float32, whole and by rows, and so does a folder that holds only it", () => {
  const golden = join(repoRoot, "test/golden/gguf-blocks");
  const { weights, metadata } = openGguf(join(golden, "blocks.gguf"));
  expect(metadata.get("general.architecture")).toBe("test");
  const values = readSafetensors(new Uint8Array(readFileSync(join(golden, "values.safetensors"))));
  for (const [name, { dims, data }] of values) {
    expect(weights.dims(name)).toEqual(dims);
    expect(weights.readFloat32(name)).toEqual(data);
    const rowElements = data.length / dims[0]!;
    expect(weights.readRows(name, 1, 2)).toEqual(data.slice(rowElements, 2 * rowElements));
  }
  weights.close();
  expect(openWeights(golden).description).toBe(join(golden, "blocks.gguf"));
});

const smollm2 = shared("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
describeWith(smollm2, "a real GGUF file", () => {
  // sha256 of the float32 values that PyPI's gguf 0.19.0 dequantises (test/python/gguf_blocks.py --of).
  test.each([
    [
      "blk.7.ffn_down.weight",
      [576, 1536],
      "Q4_1",
      "9d3af8b67d13c727ae5ffe470464163b9cac42eb494525392bd3e79c8db73880",
    ],
    [
      "token_embd.weight",
      [49152, 576],
      "Q8_0",
      "3fd491c8066dd9dc1a2bf6796701526c82817d95c0ecabacdef3013c2b8bbbaa",
    ],
  ])("%s is exactly what gguf reads", (name, dims, dtype, sha256) => {
    const { weights } = openGguf(smollm2);
    expect(weights.names()).toHaveLength(272);
    expect(weights.stored(name)).toMatchObject({ dims, dtype });
    const data = weights.readFloat32(name);
    expect(createHash("sha256").update(new Uint8Array(data.buffer)).digest("hex")).toBe(sha256);
    const [rows = 0, d = 0] = dims;
    const last = weights.readRows(name, rows - 2, rows);
    expect(same(last, data.subarray(data.length - 2 * d))).toBe(true);
    weights.close();
  });
});
