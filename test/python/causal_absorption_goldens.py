"""Golden verdicts of the causal absorption rule (Chanin et al. 2024, arXiv:2409.14507) by transformers and torch in float64.

    python test/python/causal_absorption_goldens.py

Models, ids and SAEs are those of attribution_goldens.py. The first 20 tokens stand for a prompt, WORDS for places where a word may
stand, ANSWERS for the first tokens of the labels' answers; the probe is random. Scores are what the paper's code computes with its 6
points of integrated gradients: latents and error of the word are scaled by 1, 5/6, ... 1/6, the mean gradient by the latents is
multiplied by minus their activations. Written to test/golden/absorption/causal.json: for each case and word the metric's value, the active
latents with activation, cosine, score and the metric's change when the latent is zeroed, and for some sets of main latents the
rule's answer.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

golden = pathlib.Path(__file__).parents[1] / "golden"
BLOCKS = {"gpt2": ("transformer.h", 1), "llama": ("model.layers", 2), "gemma2": ("model.layers", 1)}
LENGTH, WORDS, ANSWERS, LABEL, STEPS = 20, [4, 9, 14], [5, 7, 11, 13, 17], 1, 6
# Random models are sure of nothing: the metric is GAIN times the logit difference, so that the margin is met at some words.
GAIN = 20
EPS, MARGIN, COSINE = 1e-8, 1.0, 0.025


class Sae:
    def __init__(self, folder):
        cfg = json.loads((folder / "cfg.json").read_text())
        assert cfg["architecture"] == "jumprelu" and cfg["apply_b_dec_to_input"]
        self.is_normed = cfg["normalize_activations"] == "layer_norm"
        self.w = {name: x.double() for name, x in load_file(folder / "sae_weights.safetensors").items()}

    def scale(self, x):
        if not self.is_normed:
            return torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1])
        return x.mean(1, keepdim=True), x.std(1, keepdim=True)

    def encode(self, x):
        mean, std = self.scale(x)
        inner = (x - mean) / (std + 1e-5) if self.is_normed else x
        pre = (inner - self.w["b_dec"]) @ self.w["W_enc"] + self.w["b_enc"]
        return torch.where(pre > self.w["threshold"], pre.relu(), 0)

    def decode(self, acts, x):
        mean, std = self.scale(x)
        return (acts @ self.w["W_dec"] + self.w["b_dec"]) * std + mean


def logits_with(model, block, ids, change):
    """Last row of logits with another input of a block."""

    def hook(module, args, kwargs):
        x = args[0] if args else kwargs["hidden_states"]
        new = change(x[0])[None]
        return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

    handle = block.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        return model(ids[None], use_cache=False).logits[0, -1]
    finally:
        handle.remove()


def verdict(scores, acts, cosines, main):
    """The published rule over all latents of the SAE."""
    if not all(acts[i] < EPS for i in main):
        return False
    top, second = (-scores).topk(2).indices.tolist()
    if scores[top] > 0:
        return False
    if abs(scores[top]) - abs(scores[second]) < MARGIN:
        return False
    return bool(cosines[top] >= COSINE)


def judged(model, block, ids, sae, word, probe):
    kept = {}
    logits_with(model, block, ids, lambda x: kept.setdefault("x", x))
    x = kept["x"]
    acts = sae.encode(x)
    error = x - sae.decode(acts, x)

    def metric(row, row_error):
        all_acts, all_error = acts.clone(), error.clone()
        all_acts[word], all_error[word] = row, row_error
        logits = logits_with(model, block, ids, lambda _: sae.decode(all_acts, x) + all_error)
        wrong = [a for i, a in enumerate(ANSWERS) if i != LABEL]
        return GAIN * (logits[ANSWERS[LABEL]] - logits[wrong].mean())

    gradient = torch.zeros_like(acts[word])
    for step in range(STEPS):
        share = 1 - step / STEPS
        row = (acts[word] * share).requires_grad_()
        gradient += torch.autograd.grad(metric(row, error[word] * share), row)[0] / STEPS
    with torch.no_grad():
        scores = gradient * -acts[word]
        value = metric(acts[word], error[word])
        cosines = torch.nn.functional.cosine_similarity(probe, sae.w["W_dec"], dim=1)
        active = acts[word].nonzero()[:, 0].tolist()
        latents = []
        for i in active:
            less = acts[word].clone()
            less[i] = 0
            change = metric(less, error[word]) - value
            latents.append({"latent": i, "activation": float(acts[word, i]), "cosine": float(cosines[i]), "score": float(scores[i]), "change": float(change)})
        silent = [i for i in range(len(scores)) if i not in active]
        best = int((-scores).argmax())
        mains = [silent[:1], silent[:3], [*silent[:1], active[0]], [best]]
        return {
            "value": float(value),
            "latents": latents,
            "rule": [{"main": main, "isAbsorption": verdict(scores, acts[word], cosines, main)} for main in mains],
        }


def main():
    cases = []
    for name, (blocks, layer) in BLOCKS.items():
        folder = golden / "tiny-lms" / name
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval().double()
        model.requires_grad_(False)
        block = model.get_submodule(blocks)[layer]
        ids = load_file(folder / "golden.safetensors")["ids"].reshape(-1, 24)[0, :LENGTH].long()
        sae = Sae(golden / "attribution" / name / "sae")
        for word in WORDS:
            for sign in (1, -1):
                probe = sign * torch.randn(sae.w["W_dec"].shape[1], generator=torch.Generator().manual_seed(word)).float().double()
                found = judged(model, block, ids, sae, word, probe)
                cases.append({"lm": name, "word": word, "probe": probe.tolist(), **found})
                scores = sorted(it["score"] for it in found["latents"])
                print(name, word, [round(s, 3) for s in scores[:3]], [it["isAbsorption"] for it in found["rule"]])
    text = {"length": LENGTH, "answers": ANSWERS, "label": LABEL, "gain": GAIN, "cases": cases}
    (golden / "absorption" / "causal.json").write_text(json.dumps(text) + "\n")


main()
