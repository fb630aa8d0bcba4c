import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { readNpy, readNpz } from "../../server/encoding/npz.ts";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { Budget, readZip } from "../../server/encoding/zip.ts";
import { repoRoot } from "../parts.ts";
import { refusal } from "../files/scratch.ts";

const golden = join(repoRoot, "test/golden/sae-formats/third-party/gemma-scope-2b-pt-res");
const gemmaScope = new Uint8Array(
  readFileSync(join(golden, "layer_9/width_128/average_l0_12/params.npz")),
);

test("an archive of numpy.savez has the arrays that SAELens reads from it, and says where they lie", () => {
  const theirs = readSafetensors(
    new Uint8Array(readFileSync(join(golden, "saelens_state_dict.safetensors"))),
  );
  const ours = readNpz(gemmaScope);
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  for (const [name, { dtype, dims, data }] of theirs) {
    expect(ours.get(name)).toMatchObject({ dtype, dims, data });
    const at = ours.get(name)!.at!;
    const inFile = gemmaScope.slice(at, at + data.byteLength);
    expect(new Float32Array(inFile.buffer)).toEqual(data);
  }
});

test("compressed archives read alike, without a place in the file", () => {
  const arrays = { "w.npy": npy("<f4", "(1000,)", new Float32Array(1000).fill(1.5)) };
  const t = readNpz(zipSync(arrays, { level: 9 })).get("w")!;
  expect(t).toMatchObject({ dtype: "float32", dims: [1000] });
  expect(t.data.every((value) => value === 1.5)).toBe(true);
  expect(t.at).toBeUndefined();
});

test.each<[string, string, boolean, ArrayBufferView, object]>([
  ["<f8", "(2,)", false, Float64Array.of(1, 2), { dtype: "float64", dims: [2] }],
  ["<f2", "(1, 1)", false, Uint16Array.of(0x3c00), { dtype: "float16", dims: [1, 1] }],
  ["<i8", "()", false, BigInt64Array.of(-3n), { dtype: "int64", dims: [] }],
  ["|b1", "(0, 3)", false, new Uint8Array(0), { dtype: "bool", dims: [0, 3] }],
  ["|u1", "(3,)", true, Uint8Array.of(1, 2, 3), { dims: [3], data: Uint8Array.of(1, 2, 3) }],
  [
    "<i4",
    "(2, 3)",
    true,
    Int32Array.of(1, 4, 2, 5, 3, 6),
    { dims: [2, 3], data: Int32Array.of(1, 2, 3, 4, 5, 6) },
  ],
])("arrays of %s %s, Fortran order %s, read", (descr, shape, fortran, data, expected) => {
  expect(readNpy(npy(descr, shape, data, { fortran }))).toMatchObject(expected);
  expect(readNpy(npy(descr, shape, data, { fortran, version: 3 }))).toMatchObject(expected);
});

test.each<[string, Uint8Array, string, string]>([
  ["Python objects", npy("|O", "(1,)", new Uint8Array(8)), "unknown-dtype", "element type |O"],
  ["big-endian", npy(">f4", "(1,)", new Uint8Array(4)), "unknown-dtype", "element type >f4"],
  ["too few bytes", npy("<f4", "(3,)", new Uint8Array(8)), "bad-npy", "needs 12 bytes, found 8"],
  [
    "endless shape",
    npy("<f4", "(99999999999, 99999999999)", new Uint8Array(8)),
    "bad-npy",
    "has shape",
  ],
  ["negative shape", npy("<f4", "(-1,)", new Uint8Array(8)), "bad-npy", "has the header"],
  ["version 9", npy("<f4", "(1,)", new Uint8Array(4), { version: 9 }), "bad-npy", "has version 9"],
  ["nothing", new Uint8Array(3), "bad-npy", "does not begin as arrays do"],
  [
    "cut header",
    npy("<f4", "(1,)", new Uint8Array(4)).subarray(0, 20),
    "bad-npy",
    "claims a header",
  ],
])("a hostile array is refused: %s", (_, bytes, code, words) => {
  const error = refusal(() => readNpy(bytes));
  expect(error.code).toBe(code);
  expect(error.message).toContain(words);
});

test("a zip bomb is refused before it is inflated", () => {
  const before = process.memoryUsage().arrayBuffers;
  const error = refusal(() => readNpz(declaring(3_000_000_000)));
  expect(error.code).toBe("archive-too-large");
  expect(error.message).toContain("which weights never do");
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});

test("a member that inflates to more than it declares is refused", () => {
  const error = refusal(() => readNpz(declaring(100)));
  expect(error.message).toContain("does not inflate to the 100 bytes declared");
});

test("every cut and every changed byte of an archive gives arrays or a user's error", () => {
  const small = zipSync({
    "a.npy": npy("<f4", "(2,)", Float32Array.of(1, 2)),
    b: new Uint8Array(9),
  });
  for (let length = 0; length < small.length; length++) {
    expect(refusal(() => readNpz(small.subarray(0, length))).code).toBe("bad-zip");
  }
  for (let at = 0; at < small.length; at++) {
    for (const value of [0x00, 0xff, small[at]! ^ 1]) {
      const copy = small.slice();
      copy[at] = value;
      try {
        readNpz(copy);
      } catch (error) {
        expect(error).toMatchObject({ name: "UserError" });
      }
    }
  }
});

test("zip64 records are followed", () => {
  const plain = zipSync({ x: Uint8Array.of(1, 2, 3) }, { level: 0 });
  const end = plain.length - 22;
  const view = new DataView(plain.buffer, plain.byteOffset);
  const directory = view.getUint32(end + 16, true);
  const record = new Uint8Array(56 + 20);
  const large = new DataView(record.buffer);
  large.setUint32(0, 0x06064b50, true);
  large.setBigUint64(4, 44n, true);
  large.setBigUint64(24, 1n, true);
  large.setBigUint64(32, 1n, true);
  large.setBigUint64(40, BigInt(end - directory), true);
  large.setBigUint64(48, BigInt(directory), true);
  large.setUint32(56, 0x07064b50, true);
  large.setBigUint64(64, BigInt(end), true);
  const tail = plain.slice(end);
  tail.fill(0xff, 8, 20);
  const bytes = Uint8Array.from([...plain.subarray(0, end), ...record, ...tail]);
  expect([...readZip(bytes, new Budget(bytes.length)).read("x")]).toEqual([1, 2, 3]);
});

/** An archive with one compressed member of 5,000 zeros that its directory says has another size. */
function declaring(size: number): Uint8Array {
  const bytes = zipSync({ "a.npy": new Uint8Array(5000) }, { level: 9 });
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const entry = bytes.length - 22 - 46 - "a.npy".length;
  expect(view.getUint32(entry, true)).toBe(0x02014b50);
  view.setUint32(entry + 24, size, true);
  return bytes;
}

/** An `.npy` file. */
function npy(
  descr: string,
  shape: string,
  data: ArrayBufferView,
  { fortran = false, version = 1 } = {},
): Uint8Array {
  const order = fortran ? "True" : "False";
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const lengthBytes = version === 1 ? 2 : 4;
  const text = header.padEnd(118 - lengthBytes) + "\n";
  const length = [text.length, 0, 0, 0].slice(0, lengthBytes);
  return Uint8Array.from([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    version,
    0,
    ...length,
    ...new TextEncoder().encode(text),
    ...new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
}
