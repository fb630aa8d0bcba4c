import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dequantize } from "../../server/encoding/blocks.ts";
import { readGgufHeader } from "../../server/encoding/gguf.ts";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { repoRoot } from "../parts.ts";
import { refusal } from "../files/scratch.ts";

// Made by test/python/gguf_blocks.py with the versions in made-with.json.
const folder = join(repoRoot, "test/golden/gguf-blocks");
const blocks = new Uint8Array(readFileSync(join(folder, "blocks.gguf")));
const values = readSafetensors(new Uint8Array(readFileSync(join(folder, "values.safetensors"))));

test.each(["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"] as const)(
  "%s blocks have exactly the values that gguf gives them",
  (type) => {
    const place = readGgufHeader(blocks).tensors.get(type)!;
    expect(place.type).toBe(type);
    expect(place.dims).toEqual(values.get(type)!.dims);
    const out = new Float32Array(3 * 512);
    dequantize(type, blocks.subarray(place.offset, place.offset + place.byteLength), out);
    expect(out).toEqual(values.get(type)!.data);
    expect(out.filter(Number.isFinite).length).toBeGreaterThan(1000);
  },
);

test("metadata of every kind reads", () => {
  const { metadata, version } = readGgufHeader(blocks);
  expect(version).toBe(3);
  expect(Object.fromEntries(metadata)).toEqual({
    "general.architecture": "test",
    "test.texts": ["", "é", "\ufeffmark", "😀"],
    "test.numbers": [1, -2, 3],
    "test.large": 2n ** 63n + 1n,
    "test.exact": -(2 ** 40),
    "test.float": Math.fround(1e-5),
    "test.double": 0.1,
    "test.yes": true,
  });
});

test("shapes are outermost first", () => {
  const { tensors } = readGgufHeader(blocks);
  expect(tensors.get("F32")!.dims).toEqual([2, 3, 4]);
  expect(tensors.get("BF16")!).toMatchObject({ type: "bfloat16", dims: [2, 5], byteLength: 20 });
});

test("every beginning of the header asks for more, and every cut file is refused", () => {
  const { dataOffset } = readGgufHeader(blocks);
  for (let length = 0; length < dataOffset - 32; length += 7) {
    const start = blocks.subarray(0, length);
    expect(readGgufHeader(start, blocks.length)).toBeUndefined();
    expect(refusal(() => readGgufHeader(start)).code).toBe("bad-gguf");
  }
  const error = refusal(() => readGgufHeader(blocks.subarray(0, blocks.length - 40)));
  expect(error.message).toContain("(a download that was cut off?)");
});

test("any byte changed gives a header or a user's error, never a crash", () => {
  const { dataOffset } = readGgufHeader(blocks);
  let refused = 0;
  for (let at = 0; at < dataOffset; at++) {
    for (const value of [0xff, 0x80, 0x00, blocks[at]! ^ 1]) {
      const copy = blocks.slice();
      copy[at] = value;
      try {
        readGgufHeader(copy);
      } catch (error) {
        expect(error).toMatchObject({ name: "UserError" });
        refused++;
      }
    }
  }
  expect(refused).toBeGreaterThan(dataOffset / 2);
});

test.each<[string, { tensors?: bigint; entries?: bigint; body?: number[] }, string, string]>([
  ["endless tensors", { tensors: 2n ** 60n }, "bad-gguf", "it claims 1152921504606846976 tensors"],
  [
    "endless metadata",
    { entries: 2n ** 40n },
    "bad-gguf",
    "it claims 1099511627776 metadata entries",
  ],
  [
    "five dimensions",
    { tensors: 1n, body: [...text("a"), ...u32(5)] },
    "bad-gguf",
    "has 5 dimensions",
  ],
  [
    "a layout we do not read",
    { tensors: 1n, body: [...text("a"), ...u32(1), ...u64(256n), ...u32(10), ...u64(0n)] },
    "unknown-block-type",
    'tensor "a" has GGUF type Q2_K; readable are F32, F16, BF16, Q4_0,',
  ],
  [
    "rows of half blocks",
    { tensors: 1n, body: [...text("a"), ...u32(1), ...u64(48n), ...u32(8), ...u64(0n)] },
    "bad-gguf",
    'tensor "a" Q8_0 [48] has rows that are no multiple of 32',
  ],
  [
    "overflowing shape",
    {
      tensors: 1n,
      body: [...text("a"), ...u32(2), ...u64(2n ** 40n), ...u64(2n ** 40n), ...u32(0), ...u64(0n)],
    },
    "bad-gguf",
    'tensor "a" has shape [1099511627776, 1099511627776]',
  ],
  [
    "arrays in arrays in arrays",
    { entries: 1n, body: [...text("a"), ...u32(9), ...nested(6)] },
    "bad-gguf",
    "arrays nested deeper than 4",
  ],
])(
  "a hostile header is refused: %s",
  (_, { tensors = 0n, entries = 0n, body = [] }, code, words) => {
    const bytes = [...u32(0x46554747), ...u32(3), ...u64(tensors), ...u64(entries), ...body];
    const padded = Uint8Array.from([...bytes, ...Array.from({ length: 64 }, () => 0)]);
    const error = refusal(() => readGgufHeader(padded));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  },
);

test.each([
  ["another magic", u32(0x12345678), "it does not begin with GGUF"],
  ["version 1", [...u32(0x46554747), ...u32(1)], "it has version 1, readable are 2 and 3"],
  ["big-endian", [...u32(0x46554747), 0, 0, 0, 3], "it is big-endian"],
])("%s is refused", (_, bytes, words) => {
  expect(refusal(() => readGgufHeader(Uint8Array.from(bytes))).message).toContain(words);
});

function u32(value: number): number[] {
  return [...new Uint8Array(Uint32Array.of(value).buffer)];
}

function u64(value: bigint): number[] {
  return [...new Uint8Array(BigUint64Array.of(value).buffer)];
}

function text(value: string): number[] {
  return [...u64(BigInt(value.length)), ...new TextEncoder().encode(value)];
}

function nested(depth: number): number[] {
  return Array.from({ length: depth }, () => [...u32(9), ...u64(1n)]).flat();
}
