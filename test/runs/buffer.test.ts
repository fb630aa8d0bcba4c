// The shuffled buffer: every row once per epoch, well mixed, and the same batches from any start.
import { expect, test } from "vitest";
import { type ActivationSource, ShuffledBuffer } from "../../server/training/buffer.ts";
import { permutation } from "../../server/training/permutation.ts";

/** Rows are numbered: row r of the corpus is (r, -r), and (10 r) at the second hook point. */
function source(
  pieceRows: readonly number[],
): ActivationSource & { reads: number[]; most: number } {
  const starts = pieceRows.map((_, i) => pieceRows.slice(0, i).reduce((a, b) => a + b, 0));
  const it = {
    reads: [] as number[],
    most: 0,
    widths: new Map([
      ["a", 2],
      ["b", 1],
    ]),
    pieceRows: Int32Array.from(pieceRows),
    async read(piece: number) {
      it.reads.push(piece);
      const rows = Array.from({ length: pieceRows[piece]! }, (_, i) => starts[piece]! + i);
      return new Map([
        ["a", Float32Array.from(rows.flatMap((row) => [row, -row]))],
        ["b", Float32Array.from(rows, (row) => 10 * row)],
      ]);
    },
    async close() {},
  };
  return it;
}

const pieces = Array.from({ length: 40 }, (_, i) => 5 + (i % 4));
const perEpoch = pieces.reduce((a, b) => a + b, 0);
const options = { seed: 5, rows: 60, batch: 8, epochs: 0, batches: 1000 };

async function rowsOf(buffer: ShuffledBuffer, from: number, to: number): Promise<number[]> {
  const rows: number[] = [];
  for (let i = from; i < to; i++) {
    const batch = await buffer.batch(i);
    const a = batch.get("a")!.data;
    const b = batch.get("b")!.data;
    expect(batch.get("a")!.dims).toEqual([8, 2]);
    for (let row = 0; row < 8; row++) {
      // Rows of several hook points stay together.
      expect(a[2 * row + 1]).toBe(-a[2 * row]!);
      expect(b[row]).toBe(10 * a[2 * row]!);
      rows.push(a[2 * row]!);
    }
  }
  return rows;
}

test("every row comes once per epoch", async () => {
  const buffer = new ShuffledBuffer(source(pieces), { ...options, epochs: 3 });
  expect(buffer.count).toBe(Math.floor((3 * perEpoch) / 8));
  const rows = await rowsOf(buffer, 0, buffer.count);
  const times = new Int32Array(perEpoch);
  for (const row of rows) times[row]!++;
  // The rows of a last batch that would not be full are left out.
  expect(times.reduce((a, b) => a + b)).toBe(buffer.count * 8);
  expect(times.filter((n) => n === 3).length).toBeGreaterThanOrEqual(perEpoch - 8);
  expect(Math.max(...times)).toBe(3);
});

test.each([60, 15, 100_000])(
  "batches are a function of their number (buffer of %i)",
  async (size) => {
    const whole = await rowsOf(
      new ShuffledBuffer(source(pieces), { ...options, rows: size }),
      0,
      120,
    );
    for (const start of [1, 13, 57, 119]) {
      const resumed = new ShuffledBuffer(source(pieces), { ...options, rows: size });
      expect(await rowsOf(resumed, start, Math.min(start + 25, 120))).toEqual(
        whole.slice(start * 8, Math.min(start + 25, 120) * 8),
      );
    }
  },
);

test("a resumed buffer reads two chunks again, not the corpus", async () => {
  const own = source(pieces);
  await rowsOf(new ShuffledBuffer(own, { ...options, batches: 91 }), 90, 91);
  expect(own.reads.length).toBeLessThanOrEqual(3 * Math.ceil(60 / 3 / 6.5));
});

test("nothing is read for batches beyond the last", async () => {
  const own = source(pieces);
  await rowsOf(new ShuffledBuffer(own, { ...options, batches: 2 }), 0, 2);
  expect(own.reads.length).toBeLessThanOrEqual(7);
});

test("reading is spread over the batches", async () => {
  const own = source(pieces);
  const buffer = new ShuffledBuffer(own, { ...options, rows: 180 });
  await buffer.batch(0);
  const perBatch: number[] = [];
  for (let i = 1; i < 25; i++) {
    const before = own.reads.length;
    await buffer.batch(i);
    perBatch.push(own.reads.length - before);
  }
  expect(Math.max(...perBatch)).toBeLessThanOrEqual(5);
});

test("neighbours in the corpus do not stay together, and seeds differ", async () => {
  const one = await rowsOf(new ShuffledBuffer(source(pieces), options), 0, 30);
  const two = await rowsOf(new ShuffledBuffer(source(pieces), { ...options, seed: 6 }), 0, 30);
  const neighbours = one.slice(1).filter((row, i) => Math.abs(row - one[i]!) === 1).length;
  expect(neighbours).toBeLessThan(one.length / 4);
  expect(one).not.toEqual(two);
});

test("memory is known before and does not grow", async () => {
  const buffer = new ShuffledBuffer(source(pieces), options);
  // Three chunks of about 20 rows of 3 numbers.
  expect(buffer.bytes).toBeGreaterThanOrEqual(3 * 18 * 3 * 4);
  expect(buffer.bytes).toBeLessThanOrEqual(3 * 24 * 3 * 4);
});

test("permutations are uniform, distinct by purpose, and the same everywhere", () => {
  const counts = new Map<string, number>();
  for (let index = 0; index < 6000; index++) {
    const key = permutation(3, 1, 2, index).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 1000 each, standard deviation 29.
  for (const n of counts.values()) expect(Math.abs(n - 1000)).toBeLessThan(130);
  expect([...permutation(8, 0, 1, 0)]).not.toEqual([...permutation(8, 0, 2, 0)]);
  expect(permutation(10, 42, 1, 7)).toMatchInlineSnapshot(`
    Int32Array [
      3,
      6,
      9,
      7,
      0,
      5,
      8,
      4,
      2,
      1,
    ]
  `);
});
