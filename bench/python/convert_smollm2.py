"""Writes the Hugging Face directory (float16) that Python tools need from SmolLM2's GGUF file.

usage: convert_smollm2.py FOLDER_WITH_GGUF OUT_FOLDER

FOLDER_WITH_GGUF also holds config.json and the tokenizer's files, which are copied. GGUF stores the rows of the
query and key projections interleaved for its own rotary embedding; they go back to Hugging Face's order here.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}


def main(source: Path, target: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    (gguf_file,) = source.glob("*.gguf")
    weights = {}
    for stored in GGUFReader(gguf_file).tensors:
        # GGUF lists dimensions innermost first.
        shape = [int(size) for size in reversed(stored.shape)]
        weight = dequantize(stored.data, stored.tensor_type).astype(np.float32).reshape(shape)
        name = OUTER_NAMES.get(stored.name)
        if name is None:
            _, layer, kind, _ = stored.name.split(".")
            name = f"model.layers.{layer}.{BLOCK_NAMES[kind]}.weight"
            if kind in heads:
                weight = halves_together(weight, heads[kind])
        weights[name] = np.ascontiguousarray(weight.astype(np.float16))
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.json"):
        shutil.copyfile(file, target / file.name)
    config["torch_dtype"] = "float16"
    (target / "config.json").write_text(json.dumps(config, indent=2))
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


def halves_together(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows (pair 0 first, pair 0 second, pair 1 first, ...) of each head become (all firsts, all seconds)."""
    d_head = weight.shape[0] // n_heads
    pairs = weight.reshape(n_heads, d_head // 2, 2, -1)
    return pairs.transpose(0, 2, 1, 3).reshape(weight.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
