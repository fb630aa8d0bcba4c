/**
 * The f16 Hugging Face folder of SmolLM2 that `goldens/scripts/01_convert.py` makes, written from the GGUF by our own
 * reader, with its own way of undoing llama.cpp's row order.
 */
import {
  mkdirSync,
  existsSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dequantize, isBlockType } from "../../server/encoding/blocks.ts";
import { readGgufHeader } from "../../server/encoding/gguf.ts";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { float32ToFloat16 } from "../../server/tensor/half.ts";
import { sizeOf, type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { shared } from "../parts.ts";

/** The GGUF file with the real model. */
export const smollm2Gguf: string = shared("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");

const modules: Record<string, string> = {
  attn_norm: "input_layernorm",
  ffn_down: "mlp.down_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_norm: "post_attention_layernorm",
  attn_k: "self_attn.k_proj",
  attn_q: "self_attn.q_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
};

/** Makes the folder in the system's temporary folder unless it is there, and returns its path. */
export function smollm2F16Folder(): string {
  const folder = join(tmpdir(), "latent-workbench-smollm2-f16");
  const file = join(folder, "model.safetensors");
  if (existsSync(file)) return folder;
  mkdirSync(folder, { recursive: true });
  for (const name of [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]) {
    if (!existsSync(join(folder, name)))
      symlinkSync(shared("models/smollm2", name), join(folder, name));
  }
  const bytes = new Uint8Array(readFileSync(smollm2Gguf));
  const { tensors } = readGgufHeader(bytes);
  const converted = new Map<string, Tensor>();
  for (const [name, { type, dims, offset, byteLength }] of tensors) {
    const elements = new Float32Array(sizeOf(dims));
    const stored = bytes.subarray(offset, offset + byteLength);
    if (isBlockType(type)) dequantize(type, stored, elements);
    else new Uint8Array(elements.buffer).set(stored);
    const heads = name.endsWith("attn_q.weight") ? 9 : name.endsWith("attn_k.weight") ? 3 : 0;
    const rows = heads > 0 ? unpermute(elements, heads, dims[1]!) : elements;
    const half = tensor("float16", dims, float32ToFloat16(rows) as Uint16Array<ArrayBuffer>);
    converted.set(huggingFaceName(name), half);
  }
  // Whole or not at all: another test worker may be at it too.
  writeFileSync(`${file}.${process.pid}`, writeSafetensors(converted));
  renameSync(`${file}.${process.pid}`, file);
  return folder;
}

/** w.reshape(heads, d / 2, 2, in).swapaxes(1, 2) */
function unpermute(elements: Float32Array, heads: number, width: number): Float32Array {
  const half = elements.length / width / heads / 2;
  const result = new Float32Array(elements.length);
  let at = 0;
  for (let head = 0; head < heads; head++) {
    for (let side = 0; side < 2; side++) {
      for (let i = 0; i < half; i++) {
        const from = ((head * half + i) * 2 + side) * width;
        result.set(elements.subarray(from, from + width), at);
        at += width;
      }
    }
  }
  return result;
}

function huggingFaceName(name: string): string {
  if (name === "token_embd.weight") return "model.embed_tokens.weight";
  if (name === "output_norm.weight") return "model.norm.weight";
  const [, layer, module] = name.split(".");
  return `model.layers.${layer}.${modules[module!]}.weight`;
}
