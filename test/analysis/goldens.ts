/** Reading the goldens of this room's tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import type { SparseActs } from "../../server/sae/sparse-acts.ts";
import { repoRoot } from "../parts.ts";

/** The tensors of a file as float32 or int32 arrays, by name. */
export function readArrays(path: string): (name: string) => Float32Array {
  const tensors = readSafetensors(readFileSync(path));
  return (name) => Float32Array.from(tensors.get(name)!.data as ArrayLike<number>);
}

/** A JSON file. */
export function readFacts(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** A file of test/golden/absorption. */
export function golden(name: string): string {
  return join(repoRoot, "test/golden/absorption", name);
}

/** Dense rows as active latents, largest first. `[rows, d]` */
export function sparse(x: Float32Array, d: number): SparseActs {
  const offsets = [0];
  const latents: number[] = [];
  for (let row = 0; row < x.length / d; row++) {
    const active = Array.from({ length: d }, (_, at) => at).filter((at) => x[row * d + at] !== 0);
    latents.push(...active.sort((a, b) => x[row * d + b]! - x[row * d + a]!));
    offsets.push(latents.length);
  }
  const rowOf = (entry: number): number => offsets.findIndex((end) => end > entry) - 1;
  return {
    offsets: Int32Array.from(offsets),
    latents: Int32Array.from(latents),
    acts: Float32Array.from(latents, (latent, entry) => x[rowOf(entry) * d + latent]!),
  };
}
