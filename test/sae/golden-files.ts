/** Reads the golden files of SAE formats and compares rows by their RMS. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { type Tensor, sizeOf, tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

/** The folder of one golden SAE. */
export function goldenFolder(...path: string[]): string {
  return join(repoRoot, "test/golden/sae-formats", ...path);
}

/** Tensors of a safetensors file. */
export function readTensors(path: string): Map<string, Tensor> {
  return readSafetensors(readFileSync(path));
}

/** A float32 tensor as rows `[n, width]`. */
export function rows(
  golden: ReadonlyMap<string, Tensor>,
  key: string,
  width?: number,
): Tensor<"float32"> {
  const found = golden.get(key);
  if (!found) throw new Error(`no golden tensor ${key}`);
  const columns = width ?? found.dims.at(-1)!;
  return tensor("float32", [sizeOf(found.dims) / columns, columns], found.data as Float32Array);
}

/** Largest difference of any element over the RMS of its row. */
export function worstRow(
  found: Tensor<"float32">,
  wanted: Tensor<"float32">,
): { row: number; error: number } {
  expect(found.dims).toEqual(wanted.dims);
  const [nRows = 0, width = 0] = wanted.dims;
  let worst = { row: -1, error: 0 };
  for (let row = 0; row < nRows; row++) {
    let squares = 0;
    let difference = 0;
    for (let at = row * width; at < (row + 1) * width; at++) {
      squares += wanted.data[at]! ** 2;
      const here = Math.abs(found.data[at]! - wanted.data[at]!);
      difference = Number.isNaN(here) ? Infinity : Math.max(difference, here);
    }
    const rms = Math.sqrt(squares / width);
    const error = rms === 0 ? difference : difference / rms;
    if (error > worst.error) worst = { row, error };
  }
  return worst;
}

/** Asserts that every row agrees within `tolerance` of its RMS. */
export function expectRows(
  found: Tensor<"float32">,
  wanted: Tensor<"float32">,
  tolerance: number,
  what: string,
): void {
  const { row, error } = worstRow(found, wanted);
  expect(error, `${what}, row ${row}`).toBeLessThanOrEqual(tolerance);
}
