import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import {
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "../../server/encoding/safetensors.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const sample = new Map<string, Tensor>([
  ["flags", tensor("bool", [3], Uint8Array.of(1, 0, 1))],
  ["ids", tensor("int64", [2], BigInt64Array.of(-1n, 2n ** 62n))],
  ["half", tensor("float16", [1, 2], Uint16Array.of(0x3c00, 0xc000))],
  ["scalar", tensor("float32", [], Float32Array.of(2.5))],
  ["nothing", tensor("float32", [0, 7], new Float32Array(0))],
  ["__proto__", tensor("uint8", [1], Uint8Array.of(9))],
]);

test("what is written reads back, aligned or not", () => {
  const bytes = writeSafetensors(sample, { format: "pt" });
  expect(readSafetensorsHeader(bytes).metadata).toEqual({ format: "pt" });
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  for (const copy of [bytes, shifted.subarray(1)]) {
    const read = readSafetensors(copy);
    expect([...read.keys()].sort()).toEqual([...sample.keys()].sort());
    for (const [name, t] of sample) expect(read.get(name)).toEqual(t);
  }
  expect(readSafetensors(writeSafetensors(new Map()))).toEqual(new Map());
});

test("a file of the reference implementation reads, and is written byte for byte alike", () => {
  const path = join(
    repoRoot,
    "test/golden/sae-formats/sae-lens/jumprelu/plain/sae_weights.safetensors",
  );
  const bytes = new Uint8Array(readFileSync(path));
  const { tensors, metadata } = readSafetensorsHeader(bytes);
  expect(Object.fromEntries([...tensors].map(([name, { dims }]) => [name, dims]))).toEqual({
    W_dec: [128, 32],
    W_enc: [32, 128],
    b_dec: [32],
    b_enc: [128],
    threshold: [128],
  });
  expect(writeSafetensors(readSafetensors(bytes), metadata)).toEqual(bytes);
});

test.each<[string, unknown, number, string, string]>([
  ["no object", [], 0, "bad-safetensors", "its header is not a JSON object"],
  ["no dtype", { a: {} }, 0, "bad-safetensors", 'tensor "a" has no dtype'],
  [
    "FP8",
    { a: { dtype: "F8_E4M3", shape: [1], data_offsets: [0, 1] } },
    1,
    "unknown-dtype",
    'tensor "a" has element type F8_E4M3; readable are F64, F32,',
  ],
  [
    "inherited name as dtype",
    { a: { dtype: "constructor", shape: [1], data_offsets: [0, 1] } },
    1,
    "unknown-dtype",
    "element type constructor",
  ],
  [
    "negative dimension",
    { a: { dtype: "F32", shape: [-1, -1], data_offsets: [0, 4] } },
    4,
    "bad-safetensors",
    'tensor "a" has shape [-1,-1]',
  ],
  [
    "overflowing product",
    { a: { dtype: "F32", shape: [2 ** 40, 2 ** 40, 0], data_offsets: [0, 0] } },
    0,
    "bad-safetensors",
    'tensor "a" has shape [1099511627776,1099511627776,0]',
  ],
  [
    "negative offset",
    { a: { dtype: "U8", shape: [4], data_offsets: [-4, 0] } },
    0,
    "bad-safetensors",
    'tensor "a" has data_offsets [-4,0]',
  ],
  [
    "wrong length",
    { a: { dtype: "F32", shape: [3], data_offsets: [0, 8] } },
    8,
    "bad-safetensors",
    'tensor "a" F32 [3] needs 12 bytes, its data_offsets span 8',
  ],
  [
    "overlap",
    {
      a: { dtype: "U8", shape: [4], data_offsets: [0, 4] },
      b: { dtype: "U8", shape: [4], data_offsets: [2, 6] },
    },
    6,
    "bad-safetensors",
    'tensor "b" begins at byte',
  ],
  [
    "gap",
    { a: { dtype: "U8", shape: [4], data_offsets: [4, 8] } },
    8,
    "bad-safetensors",
    'tensor "a" begins at byte',
  ],
  [
    "truncated",
    { a: { dtype: "U8", shape: [4], data_offsets: [0, 4] } },
    3,
    "bad-safetensors",
    "(a download that was cut off?)",
  ],
  [
    "trailing bytes",
    { a: { dtype: "U8", shape: [4], data_offsets: [0, 4] } },
    5,
    "bad-safetensors",
    "its tensors end at byte",
  ],
])("a hostile header is refused: %s", (_, header, dataBytes, code, text) => {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const error = refusal(() => readSafetensors(file(BigInt(json.length), json, dataBytes)));
  expect(error.code).toBe(code);
  expect(error.message).toContain(text);
});

test.each<[string, Uint8Array, string]>([
  ["empty", new Uint8Array(0), "it has only 0 bytes"],
  ["seven bytes", new Uint8Array(7), "it has only 7 bytes"],
  ["endless header", file(2n ** 63n, new Uint8Array(2), 0), "would take 9223372036854775808 bytes"],
  ["cut header", file(50n, new Uint8Array(2), 0), "would end at byte 58, the file at byte 10"],
  ["not JSON", file(2n, new TextEncoder().encode("{x"), 0), "its header is not JSON"],
  ["not UTF-8", file(4n, Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), 0), "its header is not JSON"],
])("bytes that are no safetensors file are refused: %s", (_, bytes, text) => {
  const error = refusal(() => readSafetensors(bytes));
  expect(error.code).toBe("bad-safetensors");
  expect(error.message).toContain(text);
});

function file(headerLength: bigint, header: Uint8Array, dataBytes: number): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, headerLength, true);
  bytes.set(header, 8);
  return bytes;
}

function refusal(action: () => unknown): UserError {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
