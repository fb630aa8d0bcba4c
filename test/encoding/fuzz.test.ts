/**
 * Damaged and hostile weight files: whatever the bytes are, a reader answers with values or with a user's error, soon,
 * and without taking memory that the file does not justify. `FUZZ_FILES` says how many files there are.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { readGgufHeader } from "../../server/encoding/gguf.ts";
import { readNpz } from "../../server/encoding/npz.ts";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { readTorchPickle } from "../../server/encoding/torch-pickle.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { seeded } from "../random.ts";
import { torchFile } from "../sae/torch-file.ts";
import { mutated } from "./mutate.ts";

const nFiles = Number(process.env["FUZZ_FILES"] ?? 10_000);

const golden = (path: string): Uint8Array =>
  new Uint8Array(readFileSync(join(repoRoot, "test/golden", path)));
const small = tensor(
  "float32",
  [4, 6],
  Float32Array.from({ length: 24 }, (_, i) => i / 7),
);
const npy = (shape: string, data: Uint8Array): Uint8Array => {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117) + "\n";
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0);
  return Buffer.concat([start, Buffer.from(header), data]);
};

const kinds: Record<string, { read: (bytes: Uint8Array) => unknown; seeds: Uint8Array[] }> = {
  safetensors: {
    read: readSafetensors,
    seeds: [
      writeSafetensors(new Map([["W_enc", small]]), { format: "pt" }),
      writeSafetensors(
        new Map([
          ["a", small],
          ["b", tensor("float32", [0, 3], new Float32Array())],
          ["c", small],
        ]),
      ),
    ],
  },
  npz: {
    read: readNpz,
    seeds: [
      zipSync({ "W_enc.npy": npy("(4, 6)", new Uint8Array(96)) }, { level: 0 }),
      zipSync({
        "a.npy": npy("(4, 6)", new Uint8Array(96)),
        "b.npy": npy("()", new Uint8Array(4)),
      }),
    ],
  },
  gguf: { read: readGgufHeader, seeds: [golden("gguf-blocks/blocks.gguf")] },
  pt: {
    read: readTorchPickle,
    seeds: [
      torchFile({ state_dict: { W_enc: small, b_enc: small }, k: 3, name: "x" }),
      golden("sae-formats/dictionary-learning/topk_AutoEncoderTopK/ae.pt"),
    ],
  },
};

/** What became of a file; anything but values and a user's error is a failure that names how to make the file again. */
function outcome(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array, name: string): string {
  const started = process.cpuUsage();
  try {
    read(bytes);
    return "read";
  } catch (error) {
    if (!(error instanceof UserError))
      throw new Error(`${name}: ${String(error)}`, { cause: error });
    expect(error.message.length, name).toBeLessThan(2000);
    return error.code;
  } finally {
    expect(process.cpuUsage(started).user / 1e6, `${name}: seconds`).toBeLessThan(5);
  }
}

test.each(Object.entries(kinds))(
  `of ${nFiles / 4} mutated %s files each is read or refused`,
  (kind, { read, seeds }) => {
    const codes = new Map<string, number>();
    const before = process.memoryUsage().rss;
    let most = before;
    for (let at = 0; at < nFiles / Object.keys(kinds).length; at++) {
      const bytes = mutated(seeds[at % seeds.length]!, seeded((at + 1) * 2_654_435_761));
      const code = outcome(read, bytes, `${kind} ${at}`);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (at % 50 === 0) most = Math.max(most, process.memoryUsage().rss);
    }
    console.log(`${kind}: ${[...codes].map(([code, n]) => `${n} ${code}`).join(", ")}`);
    expect(most - before).toBeLessThan(600 * 2 ** 20);
    // The mutations hit: some files are refused; and they are not all rubble: some are read.
    expect(codes.size).toBeGreaterThan(1);
    expect(codes.has("read")).toBe(true);
  },
);

test("lies about sizes are refused before they take memory", () => {
  const header = JSON.stringify({
    W: { dtype: "F32", shape: [2 ** 31, 2 ** 31], data_offsets: [0, 96] },
  });
  const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
  const lie = Buffer.concat([length, Buffer.from(header), new Uint8Array(96)]);
  expect(outcome(readSafetensors, lie, "shape")).toBe("bad-safetensors");
  const long = Buffer.concat([new Uint8Array(8).fill(255), new Uint8Array(100)]);
  expect(outcome(readSafetensors, long, "header")).toBe("bad-safetensors");
  const deep = `{"a":`.repeat(100_000);
  const nested = new Uint8Array(new BigUint64Array([BigInt(deep.length)]).buffer);
  expect(outcome(readSafetensors, Buffer.concat([nested, Buffer.from(deep)]), "deep")).toBe(
    "bad-safetensors",
  );
});
