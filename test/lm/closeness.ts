/** How far activations are from golden ones, token by token. */
import { expect } from "vitest";
import { Device } from "../../server/runtime/device.ts";
import { testDeviceName } from "../test-device.ts";

/** The CPU, which alone computes in float64, with room for everything that tests load. */
export function cpuDevice(memoryBudget: number = 4 * 2 ** 30): Device {
  return new Device("cpu", 2, memoryBudget);
}

/** The device of the tests of numbers, with room for everything that they load. */
export function testDevice(memoryBudget: number = 4 * 2 ** 30): Device {
  return new Device(testDeviceName, 2, memoryBudget);
}

/** Largest |difference| of a row over that row's RMS in `want`. `[rows, width]` */
export function worstRow(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  width: number,
): { row: number; error: number } {
  let worst = { row: -1, error: 0 };
  for (let start = 0; start < want.length; start += width) {
    let squares = 0;
    let largest = 0;
    for (let i = start; i < start + width; i++) {
      squares += want[i]! ** 2;
      const difference = Math.abs(got[i]! - want[i]!);
      // A NaN anywhere is the worst there is.
      largest = difference <= largest ? largest : difference;
    }
    const error = largest === 0 ? 0 : largest / Math.sqrt(squares / width);
    if (!(error <= worst.error)) worst = { row: start / width, error };
  }
  return worst;
}

/** Errors of all rows: largest |difference| of each over its RMS in `want`. `[rows, width] -> [rows]` */
export function rowErrors(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  width: number,
): number[] {
  return Array.from({ length: want.length / width }, (_, row) => {
    const part = (values: ArrayLike<number>) =>
      Array.from({ length: width }, (_, i) => values[row * width + i]!);
    return worstRow(part(got), part(want), width).error;
  });
}

/** Expects every row within `tolerance` of its RMS. */
export function expectRows(
  name: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { width, tolerance = 1e-4 }: { width: number; tolerance?: number },
): void {
  expect(got.length, `${name}: elements`).toBe(want.length);
  const { row, error } = worstRow(got, want, width);
  expect(error, `${name}: row ${row}, difference over the row's RMS`).toBeLessThanOrEqual(
    tolerance,
  );
}
