"""Golden gradients through tiny language models, by transformers and torch in float64: test/golden/lm-gradients/<family>.safetensors.

    python test/python/lm_gradients.py

Models and ids (the first row) are those of test/golden/tiny-lms. Tensors, all float32 but for ids and terms:
  ids [T]; terms.position, terms.id, terms.weight [n]: a sum of weighted logits, whose value is `logits.value`;
  logits/<hook> its gradient at resid_pre of every block, and at the hook points inside block 1;
  next_token.value, next_token/<hook>: the mean loss of the next token, and its gradient at resid_pre of every block;
  replaced [T, d_model]: what replaces resid_pre of block 1; divergence.value: the sum over positions of position weight
  (0, 1, 2, ...) times KL(p of the model || p with the replacement); divergence/<hook>: its gradient at resid_pre of block 1.
"""
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

golden = pathlib.Path(__file__).parents[1] / "golden"

# Paths below the model: blocks; below a block: attention's last layer, the MLP, the MLP's last layer.
PARTS = {
    "gpt2": ("transformer.h", "attn.c_proj", "mlp", "mlp.c_proj"),
    "gpt-neo": ("transformer.h", "attn.attention.out_proj", "mlp", "mlp.c_proj"),
    "gpt-neox": ("gpt_neox.layers", "attention.dense", "mlp", "mlp.dense_4h_to_h"),
    "llama": ("model.layers", "self_attn.o_proj", "mlp", "mlp.down_proj"),
    "gemma2": ("model.layers", "self_attn.o_proj", "mlp", "mlp.down_proj"),
    "mistral": ("model.layers", "self_attn.o_proj", "mlp", "mlp.down_proj"),
}
TERMS = [(23, 5, 1.0), (23, 7, -0.5), (10, 3, 2.0), (15, 3, 1.5)]
LAYER = 1


def main():
    for family, parts in PARTS.items():
        folder = golden / "tiny-lms" / family
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
        ids = load_file(folder / "golden.safetensors")["ids"].reshape(-1, 24)[:1].long()
        tensors = goldens(model.eval().double(), ids, parts)
        target = golden / "lm-gradients" / f"{family}.safetensors"
        target.parent.mkdir(exist_ok=True)
        save_file({name: own(x) for name, x in tensors.items()}, target, metadata={"torch": torch.__version__})
        print(family, target.stat().st_size, *(round(tensors[f"{name}.value"].item(), 4) for name in ("logits", "next_token", "divergence")))


def own(x):
    x = x.detach().clone().contiguous()
    return x.float() if x.is_floating_point() else x


def goldens(model, ids, parts):
    tokens = ids.shape[1]
    t = {"ids": ids[0], "terms.position": torch.tensor([p for p, _, _ in TERMS]), "terms.id": torch.tensor([i for _, i, _ in TERMS])}
    t["terms.weight"] = torch.tensor([w for _, _, w in TERMS])

    logits, places = run(model, ids, parts)
    value = sum(w * logits[p, i] for p, i, w in TERMS)
    value.backward()
    t["logits.value"] = value
    t |= {f"logits/{name}": x.grad[0] for name, x in places.items()}

    logits, places = run(model, ids, parts)
    loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
    loss.backward()
    t["next_token.value"] = loss
    t |= {f"next_token/{name}": x.grad[0] for name, x in places.items() if "resid_pre" in name}

    name = f"blocks.{LAYER}.hook_resid_pre"
    random = torch.Generator().manual_seed(3)
    before = places[name].detach()
    replaced = (before + 0.3 * before.std() * torch.randn(before.shape, generator=random).double()).float()
    original = logits.detach().log_softmax(-1)
    changed, places = run(model, ids, parts, replaced.double())
    per_position = (original.exp() * (original - changed.log_softmax(-1))).sum(-1)
    divergence = (per_position * torch.arange(tokens)).sum()
    divergence.backward()
    t |= {"replaced": replaced[0], "divergence.value": divergence, f"divergence/{name}": places[name].grad[0]}
    return t


def run(model, ids, parts, replaced=None):
    """Logits [T, d_vocab], and hook points by TransformerLens name; `replaced` stands in for resid_pre of LAYER."""
    blocks, attention_out, mlp, mlp_out = parts
    places, handles = {}, []

    def keep(name, x):
        x.retain_grad()
        places[name] = x

    def before(layer):
        def hook(module, args, kwargs):
            if layer == LAYER and replaced is not None:
                new = replaced.clone().requires_grad_()
                args, kwargs = ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})
            keep(f"blocks.{layer}.hook_resid_pre", args[0] if args else kwargs["hidden_states"])
            return args, kwargs

        return hook

    for layer, block in enumerate(model.get_submodule(blocks)):
        handles.append(block.register_forward_pre_hook(before(layer), with_kwargs=True))
    block = model.get_submodule(blocks)[LAYER]
    for path, into, out in [(attention_out, "attn.hook_z", "attn.hook_out"), (mlp, "mlp.hook_in", None), (mlp_out, "mlp.hook_post", "mlp.hook_out")]:
        part = block.get_submodule(path)
        handles.append(part.register_forward_pre_hook(lambda _, args, into=into: keep(f"blocks.{LAYER}.{into}", args[0])))
        if out:
            handles.append(part.register_forward_hook(lambda _, __, y, out=out: keep(f"blocks.{LAYER}.{out}", y)))
    logits = model(ids, use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return logits, places


main()
