"""What a hover costs in Python: text to the top 10 latents of every token, on request.

usage: hover_peer.py KIND MODEL_FOLDER SAE_FOLDER THREADS [DEVICE]

KIND "transformers": plain transformers and torch, holding only the layers up to the SAE's hook.
KIND "transformer-lens": TransformerLens, run_with_cache with stop_at_layer.
Both encode with SAELens. One JSON object a line: {"text": ...} in; first the start-up's figures out, then one answer
a text: {"ms": ..., "tokens": ..., "last": [the top 10 latents of the last token], "peakMB": ...}.
"""

import json
import os
import resource
import sys
import time
import warnings
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
warnings.filterwarnings("ignore")
TOP = 10


def plain_transformers(folder: str, layer: int, device: str):
    """text -> residual stream after `layer`, [tokens, d_model]"""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = layer + 1
    model = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32).eval().to(device)
    model.norm = torch.nn.Identity()  # the last hidden state is the residual stream then
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def residual(text: str):
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        return model(input_ids=ids.to(device), use_cache=False).last_hidden_state[0]

    return residual


def transformer_lens(folder: str, layer: int, device: str):
    """text -> residual stream after `layer`, [tokens, d_model]"""
    import torch
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    hf = source.config
    rope = getattr(hf, "rope_parameters", None) or {"rope_theta": hf.rope_theta}
    config = HookedTransformerConfig(
        model_name="SmolLM2-135M-Instruct",
        original_architecture="LlamaForCausalLM",
        n_layers=hf.num_hidden_layers,
        d_model=hf.hidden_size,
        n_heads=hf.num_attention_heads,
        n_key_value_heads=hf.num_key_value_heads,
        d_head=hf.head_dim,
        d_mlp=hf.intermediate_size,
        d_vocab=hf.vocab_size,
        n_ctx=2048,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        final_rms=True,
        eps=hf.rms_norm_eps,
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=hf.head_dim,
        rotary_base=rope["rope_theta"],
        default_prepend_bos=False,
        tokenizer_prepends_bos=False,
        dtype=torch.float32,
        device=device,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = HookedTransformer(config, tokenizer=tokenizer, default_padding_side="right")
    model.load_and_process_state_dict(
        convert_llama_weights(source, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
        refactor_factored_attn_matrices=False,
    )
    model.eval()
    hook = f"blocks.{layer}.hook_resid_post"

    def residual(text: str):
        tokens = model.to_tokens(text, prepend_bos=False, truncate=False)
        _, cache = model.run_with_cache(tokens, names_filter=hook, stop_at_layer=layer + 1)
        return cache[hook][0]

    return residual


def main() -> None:
    kind, model_folder, sae_folder, threads, device = [*sys.argv[1:5], *(sys.argv[5:6] or ["cpu"])]
    began = time.perf_counter()
    import torch
    from sae_lens import SAE

    imported = time.perf_counter()
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    sae = SAE.load_from_disk(sae_folder, device=device, dtype="float32")
    layer = int(sae.cfg.metadata.hook_name.split(".")[1])
    make = {"transformers": plain_transformers, "transformer-lens": transformer_lens}[kind]
    residual = make(model_folder, layer, device)
    loaded = time.perf_counter()
    versions = {name: version(name) for name in ("torch", "sae-lens", kind)}
    answer(
        {
            "importMs": 1e3 * (imported - began),
            "loadMs": 1e3 * (loaded - imported),
            "versions": versions,
        }
    )
    for line in sys.stdin:
        text = json.loads(line)["text"]
        start = time.perf_counter()
        acts = sae.encode(residual(text))
        last = acts.topk(TOP, dim=-1).indices[-1].tolist()  # on a GPU this waits for the result
        ms = 1e3 * (time.perf_counter() - start)
        answer({"ms": ms, "tokens": acts.shape[0], "last": last})


def answer(value: dict) -> None:
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({**value, "peakMB": peak}), flush=True)


if __name__ == "__main__":
    main()
