/** Arrays of one safetensors file, read by range of rows as they are stored: small reads by offset, nothing kept. */
import { assert } from "../base/errors.ts";
import {
  readSafetensorsHeader,
  safetensorsHeaderBytes,
  type SafetensorsHeader,
  safetensorsLengthBytes,
} from "../encoding/safetensors.ts";
import { tensorFromBytes } from "../encoding/tensor-bytes.ts";
import { type OpenFile, openFile } from "../files/disk.ts";
import { inFile } from "../files/errors.ts";
import type { DataOf, DType } from "../tensor/tensor.ts";
import { bytesPerElement, sizeOf } from "../tensor/tensor.ts";

/** A file of arrays, open for reading; who opens it closes it. */
export class ArrayFile {
  readonly #file: OpenFile;
  readonly #header: SafetensorsHeader;

  constructor(path: string) {
    this.#file = openFile(path);
    try {
      const start = new Uint8Array(Math.min(safetensorsLengthBytes, this.#file.size));
      this.#file.read(0, start);
      const length = inFile(path, () => safetensorsHeaderBytes(start, this.#file.size));
      const header = new Uint8Array(length);
      this.#file.read(0, header);
      this.#header = inFile(path, () => readSafetensorsHeader(header, this.#file.size));
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#header.metadata;
  }

  /** Shape of an array; undefined if the file has none of this name. */
  dims(name: string): readonly number[] | undefined {
    return this.#header.tensors.get(name)?.dims;
  }

  /** Rows `[from, to)` of an array of this element type, elements as stored. */
  rows<D extends DType>(name: string, dtype: D, from: number, to: number): DataOf[D] {
    const entry = this.#header.tensors.get(name);
    assert(entry !== undefined, `${this.#file.path} has no array ${name}`);
    assert(entry.dtype === dtype, `${this.#file.path}: ${name} is ${entry.dtype}, not ${dtype}`);
    const [nRows = 0, ...inner] = entry.dims;
    assert(0 <= from && from <= to && to <= nRows, `${name}: rows ${from} to ${to} of ${nRows}`);
    const rowBytes = sizeOf(inner) * bytesPerElement[dtype];
    const bytes = new Uint8Array((to - from) * rowBytes);
    this.#file.read(entry.begin + from * rowBytes, bytes);
    return tensorFromBytes(dtype, [to - from, ...inner], bytes).data as DataOf[D];
  }

  /** All of an array. */
  all<D extends DType>(name: string, dtype: D): DataOf[D] {
    return this.rows(name, dtype, 0, this.dims(name)?.[0] ?? 0);
  }

  close(): void {
    this.#file.close();
  }
}
