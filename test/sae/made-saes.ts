/** Small SAEs written to disk for tests: valid ones to spoil, and layouts that no golden covers. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { type Tensor, sizeOf, tensor } from "../../server/tensor/tensor.ts";
import { goldenFolder } from "./golden-files.ts";

/** A fresh folder with these files: objects as JSON, maps as safetensors, strings and bytes as they are. */
export function made(
  files: Readonly<Record<string, object | string | Uint8Array | Map<string, Tensor>>>,
  name = "sae",
): string {
  const folder = join(scratch(), name);
  for (const [file, content] of Object.entries(files)) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytesOf(content));
  }
  return folder;
}

/** A copy of a golden SAE's folder to spoil. */
export function copyOf(...golden: string[]): string {
  const folder = join(scratch(), golden.at(-1)!);
  cpSync(goldenFolder(...golden), folder, { recursive: true });
  return folder;
}

/** Changes the tensors of a safetensors file. */
export function changeTensors(path: string, change: (tensors: Map<string, Tensor>) => void): void {
  const tensors = readSafetensors(readFileSync(path));
  change(tensors);
  writeFileSync(path, writeSafetensors(tensors));
}

/** Changes a JSON file. */
export function changeJson(path: string, change: (value: Record<string, unknown>) => void): void {
  const value = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  change(value);
  writeFileSync(path, JSON.stringify(value));
}

/** A float32 tensor of small repeatable numbers. */
export function filled(dims: readonly number[], seed = 1): Tensor<"float32"> {
  const values = Float32Array.from({ length: sizeOf(dims) }, (_, at) =>
    Math.sin((at + 1) * 12.9898 * seed),
  );
  return tensor("float32", dims, values);
}

function bytesOf(content: object | string | Uint8Array | Map<string, Tensor>): string | Uint8Array {
  if (typeof content === "string" || content instanceof Uint8Array) return content;
  return content instanceof Map ? writeSafetensors(content) : JSON.stringify(content);
}

/** A folder that goes when the test ends. */
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
