// Shards of activations: what is written comes back, in every type, by any range, also after a crash; damage is found.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  plannedBytes,
  type ShardDType,
  type ShardPlan,
} from "../../server/store/activation-shards.ts";
import { toStored } from "../../server/store/scaled-half.ts";
import { ShardReader } from "../../server/store/shard-reader.ts";
import { ShardWriter } from "../../server/store/shard-writer.ts";
import { toFloat32 } from "../../server/tensor/half.ts";
import { seeded } from "../random.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-shards-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const hook = "blocks.2.hook_resid_post";
const other = "blocks.0.hook_mlp_out";
const shardRows = [5, 7, 5, 3];
const nRows = 20;

function plan(dtype: ShardDType): ShardPlan {
  return {
    hooks: { [hook]: 6, [other]: 2 },
    dtype,
    columns: ["token", "position"],
    shardRows,
    source: { lm: "abc", ctx: 8 },
  };
}

const random = seeded(3);
const all = new Map(
  [hook, other].map((name) => {
    const width = name === hook ? 6 : 2;
    // An outlier per shard as in residual streams, and tiny values beside it.
    const rows = Float32Array.from({ length: nRows * width }, (_, i) => {
      return (random() - 0.5) * (i % 31 === 0 ? 1e5 : i % 7 === 0 ? 1e-3 : 4);
    });
    return [name, { width, rows }];
  }),
);
const tokens = Int32Array.from({ length: nRows }, (_, i) => i * 1001);

function rowsOf(from: number, to: number) {
  return {
    activations: new Map(
      [...all].map(([name, { width, rows }]) => [name, rows.slice(from * width, to * width)]),
    ),
    columns: new Map([
      ["token", tokens.slice(from, to)],
      ["position", tokens.slice(from, to).map((_, i) => i)],
    ]),
  };
}

function writeAll(writer: ShardWriter, shards = shardRows.length): void {
  while (writer.next < shards) {
    const from = shardRows.slice(0, writer.next).reduce((a, b) => a + b, 0);
    writer.write(rowsOf(from, from + shardRows[writer.next]!));
  }
}

describe.each([
  ["float32", 0],
  ["float16", 2 ** -11],
  ["bfloat16", 2 ** -8],
] as const)("%s", (dtype, relative) => {
  const folder = join(scratch, dtype);

  test("takes exactly as many bytes as was said before", () => {
    writeAll(new ShardWriter(folder, plan(dtype)));
    const found = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    const bytes = found.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(found.length).toBe(4);
    expect(bytes).toBe(plannedBytes(plan(dtype)));
  });

  test("comes back by any range, over the borders of shards", () => {
    const reader = new ShardReader(folder);
    expect(reader.rows).toBe(nRows);
    for (const [from, to] of [
      [0, nRows],
      [4, 13],
      [5, 12],
      [19, 20],
      [7, 7],
    ] as const) {
      const found = reader.read(hook, from, to);
      const wanted = all.get(hook)!.rows.subarray(from * 6, to * 6);
      expect(found.length).toBe(wanted.length);
      found.forEach((x, i) => {
        // Half a step of the type, or of the smallest number that f16 has under the shard's scale.
        const step = Math.abs(wanted[i]!) * relative + (dtype === "float16" ? 1e5 * 2 ** -38 : 0);
        expect(Math.abs(x - wanted[i]!)).toBeLessThanOrEqual(step);
      });
      expect([...reader.readColumn("token", from, to)]).toEqual([...tokens.subarray(from, to)]);
    }
    reader.close();
  });
});

test("f16 with a scale neither overflows nor loses what is small", () => {
  const x = Float32Array.of(3e6, -1, 1e-3, 0);
  const { stored, scale } = toStored(x, [2, 2], "float16");
  expect(Math.log2(scale) % 1).toBe(0);
  const back = toFloat32(stored).map((it) => it * scale);
  back.forEach((it, i) => expect(Math.abs(it - x[i]!)).toBeLessThanOrEqual(Math.abs(x[i]!) / 1024));
  expect(toStored(new Float32Array(4), [2, 2], "float16").scale).toBe(1);
});

test("a writer that was stopped goes on after the last whole shard", () => {
  const folder = join(scratch, "stopped");
  writeAll(new ShardWriter(folder, plan("float16")), 2);
  expect(() => new ShardReader(folder)).toThrow(/has 2 of 4 shards; run the same harvest again/);
  const writer = new ShardWriter(folder, plan("float16"));
  expect(writer.next).toBe(2);
  writeAll(writer);
  expect(writer.isComplete).toBe(true);
  const names = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  for (const name of names) {
    const once = readFileSync(join(scratch, "float16", name));
    expect(readFileSync(join(folder, name)).equals(once)).toBe(true);
  }
  expect(new ShardReader(folder).key).toBe(new ShardReader(join(scratch, "float16")).key);
});

test("a shard that was removed is written again, with all after it", () => {
  const folder = join(scratch, "removed");
  writeAll(new ShardWriter(folder, plan("float32")));
  rmSync(join(folder, "shard-00001.safetensors"));
  const writer = new ShardWriter(folder, plan("float32"));
  expect(writer.next).toBe(1);
  writeAll(writer);
  expect(new ShardReader(folder).read(other, 0, nRows)).toEqual(all.get(other)!.rows);
});

test("a changed byte is found when the shard is first read", () => {
  const folder = join(scratch, "damaged");
  writeAll(new ShardWriter(folder, plan("float32")));
  const file = join(folder, "shard-00002.safetensors");
  const bytes = readFileSync(file);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(file, bytes);
  const reader = new ShardReader(folder);
  expect(reader.read(hook, 0, 12).length).toBe(72);
  expect(() => reader.read(hook, 0, 13)).toThrow(/shard-00002.safetensors is damaged: its sha256/);
  reader.close();
});

test("another harvest's folder is refused, saying what differs", () => {
  const folder = join(scratch, "float32");
  const different = { ...plan("float32"), source: { lm: "xyz", ctx: 8 } };
  expect(() => new ShardWriter(folder, different)).toThrow(
    /holds activations of another harvest \(source: .*abc.*, not .*xyz/,
  );
  expect(() => new ShardWriter(folder, plan("float16"))).toThrow(/another harvest \(dtype/);
});

test("hook points and folders that are not there are named", () => {
  const reader = new ShardReader(join(scratch, "float32"));
  expect(() => reader.read("blocks.9.hook_resid_post", 0, 1)).toThrow(
    `has no activations of blocks.9.hook_resid_post; it has ${hook}, ${other}`,
  );
  reader.close();
  expect(() => new ShardReader(scratch)).toThrow(/holds no activations: expected activations.json/);
});
