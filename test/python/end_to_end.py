"""Golden losses and gradients of end-to-end training and of attributions, by transformers and torch in float64.

    python test/python/end_to_end.py

Writes test/golden/end-to-end/<case>.safetensors. Models and ids (the first two rows) are those of test/golden/tiny-lms.
Tensors, float32: W_enc, b_enc, W_dec, b_dec of an SAE; x, its input at the tokens from position 1 on, row by row of the ids;
loss and its parts kl_loss, downstream_loss, mse_loss, l1_loss (already weighted); grad/<parameter>;
task/gradient: d(logit 5 - logit 7 at the last position) / d(the SAE's place), for both rows of ids; task/loss and
task/grad/<parameter>: mean over the rows of sum |act * (W_dec . gradient)|.
"""
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

golden = pathlib.Path(__file__).parents[1] / "golden"

BLOCKS = {"gpt2": "transformer.h", "llama": "model.layers", "gemma2": "model.layers"}
# Family, block, place, architecture; k or the weight of the L1 norm; weights of KL, downstream and own squared error.
CASES = {
    "gpt2-resid-standard": ("gpt2", 0, "resid_post", "standard", 0.005, (1.0, 1e-4, 2e-4)),
    "llama-mlp-topk": ("llama", 0, "mlp_out", "topk", 6, (2.0, 5e-4, 0.0)),
    "gemma2-last-topk": ("gemma2", None, "resid_post", "topk", 5, (1.0, 0.0, 0.005)),
}
D_SAE = 40


def main():
    for name, case in CASES.items():
        tensors = run_case(*case)
        target = golden / "end-to-end" / f"{name}.safetensors"
        target.parent.mkdir(exist_ok=True)
        save_file({k: v.detach().clone().contiguous().float() for k, v in tensors.items()}, target, metadata={"torch": torch.__version__})
        print(name, target.stat().st_size, *(f"{k} {v.item():.5f}" for k, v in tensors.items() if v.ndim == 0))


def run_case(family, layer, place, architecture, sparsity, weights):
    folder = golden / "tiny-lms" / family
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval().double()
    for p in model.parameters():
        p.requires_grad_(False)
    ids = load_file(folder / "golden.safetensors")["ids"].reshape(-1, 24)[:2].long()
    blocks = model.get_submodule(BLOCKS[family])
    n = len(blocks)
    layer = n - 1 if layer is None else layer
    module = blocks[layer] if place == "resid_post" else blocks[layer].mlp

    def forward(replace=None):
        found = {}

        def keep(index):
            def hook(_, __, out):
                found[index] = out[0] if isinstance(out, tuple) else out
            return hook

        def put(_, __, out):
            value = out[0] if isinstance(out, tuple) else out
            found["place"] = value
            if replace is None:
                return None
            value = replace(value)
            return (value, *out[1:]) if isinstance(out, tuple) else value

        handles = [module.register_forward_hook(put)] + [b.register_forward_hook(keep(i)) for i, b in enumerate(blocks)]
        logits = model(ids, use_cache=False).logits
        for handle in handles:
            handle.remove()
        return logits, found

    with torch.no_grad():
        logits, plain = forward()
    d = plain["place"].shape[-1]
    random = torch.Generator().manual_seed(11)
    draw = lambda *dims: torch.randn(*dims, generator=random).float().double()
    scale = plain["place"].std()
    sae = {"W_enc": draw(d, D_SAE) / d**0.5, "b_enc": 0.1 * scale * draw(D_SAE), "W_dec": draw(D_SAE, d) / d**0.5, "b_dec": 0.1 * scale * draw(d)}
    sae = {k: v.float().double().requires_grad_() for k, v in sae.items()}
    x = plain["place"][:, 1:].reshape(-1, d).float().double()

    def encode(rows):
        pre = (rows - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"]
        if architecture == "standard":
            return pre.relu()
        kept = pre.topk(sparsity, -1)
        return torch.zeros_like(pre).scatter(-1, kept.indices, kept.values.relu())

    acts = encode(x)
    x_hat = acts @ sae["W_dec"] + sae["b_dec"]
    rows = x_hat.reshape(2, -1, d)
    changed_logits, changed = forward(lambda value: torch.cat([value[:, :1], rows], 1))
    p, q = logits.log_softmax(-1)[:, 1:], changed_logits.log_softmax(-1)[:, 1:]
    kl, ds, mse = weights
    parts = {"kl_loss": kl * (p.exp() * (p - q)).sum(-1).mean()}
    if ds:
        later = [((changed[i] - plain[i])[:, 1:] ** 2).sum(-1).mean() for i in range(layer + 1, n)]
        parts["downstream_loss"] = ds * torch.stack(later).mean()
    parts["mse_loss"] = mse * ((x_hat - x) ** 2).sum(-1).mean()
    if architecture == "standard":
        parts["l1_loss"] = sparsity * acts.sum(-1).mean()
    loss = sum(parts.values())
    loss.backward()
    t = {**sae, "x": x, "loss": loss, **parts}
    t |= {f"grad/{k}": v.grad.clone() for k, v in sae.items()}

    # The task: what the logits' difference at the end says at the place.
    leaf = {}

    def tap(value):
        leaf["x"] = value.detach().requires_grad_()
        return leaf["x"]

    task_logits, _ = forward(tap)
    (task_logits[:, -1, 5] - task_logits[:, -1, 7]).sum().backward()
    g = leaf["x"].grad[:, 1:].reshape(-1, d)
    for v in sae.values():
        v.grad = None
    attribution = encode(x) * (g @ sae["W_dec"].T)
    task = attribution.abs().sum() / 2
    task.backward()
    t |= {"task/gradient": g, "task/loss": task}
    t |= {f"task/grad/{k}": v.grad for k, v in sae.items() if v.grad is not None}
    return t


main()
