import { expect, test } from "vitest";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  toFloat32,
} from "../../server/tensor/half.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";

const all16 = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);

test.each([
  [0x0000, 0],
  [0x8000, -0],
  [0x0001, 2 ** -24],
  [0x03ff, 1023 * 2 ** -24],
  [0x0400, 2 ** -14],
  [0x3555, 0.333251953125],
  [0x3c00, 1],
  [0x7bff, 65504],
  [0x7c00, Infinity],
  [0xfc00, -Infinity],
  [0x7c01, NaN],
  [0xfe00, NaN],
])("float16 bits %i mean %f", (bits, value) => {
  expect(float16ToFloat32(Uint16Array.of(bits))[0]).toBe(value);
});

test("every float16 goes to float32 and back unchanged", () => {
  const back = float32ToFloat16(float16ToFloat32(all16));
  for (const bits of all16) {
    const isNaN = (bits & 0x7fff) > 0x7c00;
    if (isNaN) expect(back[bits]! & 0x7fff).toBeGreaterThan(0x7c00);
    else if (back[bits] !== bits) expect(back[bits]).toBe(bits);
  }
});

test("every bfloat16 goes to float32 and back unchanged", () => {
  const back = float32ToBfloat16(bfloat16ToFloat32(all16));
  for (const bits of all16) {
    const isNaN = (bits & 0x7fff) > 0x7f80;
    if (isNaN) expect(back[bits]! & 0x7fff).toBeGreaterThan(0x7f80);
    else if (back[bits] !== bits) expect(back[bits]).toBe(bits);
  }
});

test("float32 rounds to the nearest float16, ties to even, for halfway points of every step", () => {
  const steps = float16ToFloat32(all16.subarray(0, 0x7c00));
  for (let i = 0; i + 1 < steps.length; i++) {
    const middle = (steps[i]! + steps[i + 1]!) / 2;
    const [below, tie, above] = float32ToFloat16(
      Float32Array.of(nudge(middle, -1), middle, nudge(middle, 1)),
    );
    const even = i % 2 === 0 ? i : i + 1;
    if (below !== i || tie !== even || above !== i + 1) {
      expect({ i, below, tie, above }).toEqual({ i, below: i, tie: even, above: i + 1 });
    }
  }
});

test("float32 beyond float16 becomes infinite only from half a step on", () => {
  const bits = float32ToFloat16(Float32Array.of(65519.99, 65520, 1e30, -1e30, NaN, 2 ** -25));
  expect([...bits]).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7e00, 0]);
});

test("bfloat16 rounds to nearest even and keeps NaN", () => {
  const words = Uint32Array.of(0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x7f800001);
  const bits = float32ToBfloat16(new Float32Array(words.buffer));
  expect([...bits]).toEqual([0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7fc0]);
});

test("tensors of every kind read as float32", () => {
  expect(values(tensor("float16", [2], Uint16Array.of(0x3c00, 0xc000)))).toEqual([1, -2]);
  expect(values(tensor("bfloat16", [2], Uint16Array.of(0x3f80, 0xc000)))).toEqual([1, -2]);
  expect(values(tensor("float64", [1], Float64Array.of(0.1)))).toEqual([Math.fround(0.1)]);
  expect(values(tensor("int64", [1], BigInt64Array.of(-7n)))).toEqual([-7]);
  expect(values(tensor("uint8", [1], Uint8Array.of(255)))).toEqual([255]);
  expect(values(tensor("bool", [2], Uint8Array.of(0, 1)))).toEqual([0, 1]);
  const own = tensor("float32", [1], Float32Array.of(3));
  expect(toFloat32(own)).toBe(own.data);
});

/** The float32 next to `value`, up or down. */
function nudge(value: number, by: 1 | -1): number {
  const words = new Uint32Array(Float32Array.of(value).buffer);
  words[0]! += by;
  return new Float32Array(words.buffer)[0]!;
}

function values(t: Tensor): number[] {
  return [...toFloat32(t)];
}
