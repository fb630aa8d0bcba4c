"""Golden attributions and interventions through tiny language models with a small random SAE, by transformers and torch in float64.

    python test/python/attribution_goldens.py

Models and ids (the first row) are those of test/golden/tiny-lms. For each case a folder test/golden/attribution/<case>: the SAE as
SAELens saves it (`sae/`), a meta-SAE of it (`meta/`), and golden.safetensors with, all float32 but for ids:
  ids [T]; acts [T, d_sae]; error [T, d_model];
  gradient/latents [T, d_sae], gradient/error [T]: gradient times activation of the logit difference TERMS;
  integrated/latents, integrated/error: integrated gradients of it, STEPS midpoints, over the positions POSITIONS;
  value, baseline; ablation [T, d_sae]: the fall of it when the latent is zeroed at the position, error kept;
  direction [d_model], direction/latents: the same as gradient/latents of the projection of the last residual on it;
  meta [d_meta], meta.rest: gradient/latents at POSITIONS summed over meta-latents, and what they leave;
  <intervention>/logits [T, d_vocab], <intervention>/continuation [n]: with one of INTERVENTIONS at every position, and what is
  written greedily without a cache.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

golden = pathlib.Path(__file__).parents[1] / "golden"
BLOCKS = {"gpt2": "transformer.h", "llama": "model.layers", "gemma2": "model.layers"}
# Case: family, layer whose input the SAE reads, SAELens' normalize_activations.
CASES = {"gpt2": ("gpt2", 1, "none"), "llama": ("llama", 2, "layer_norm"), "gemma2": ("gemma2", 1, "none")}
TERMS = [(19, 5, 1.0), (19, 7, -1.0)]
POSITIONS = [4, 5, 9, 19]
STEPS = 6
D_SAE, D_META = 48, 10
WRITTEN = 12
# Kind, index, mode, amount, error kept.
INTERVENTIONS = {
    "add": ("latent", 3, "add", 2.5, True),
    "clamp": ("latent", 3, "clamp", 1.5, True),
    "scale": ("latent", 8, "scale", -2.0, True),
    "ablate-without-error": ("latent", 8, "ablate", 0.0, False),
    "meta-clamp": ("meta", 2, "clamp", 3.0, True),
    "direction-add": ("direction", 0, "add", 1.5, True),
    "direction-ablate": ("direction", 0, "ablate", 0.0, True),
}


class Sae:
    """A JumpReLU SAE; b_dec is subtracted before encoding."""

    def __init__(self, d_in, d_sae, seed, normalize, rows):
        random = torch.Generator().manual_seed(seed)
        self.normalize = normalize
        x, _, _ = self.normalized(rows)
        self.W_dec = torch.randn(d_sae, d_in, generator=random).float().double()
        self.W_enc = (self.W_dec.T / d_in**0.5 + 0.1 * torch.randn(d_in, d_sae, generator=random)).float().double()
        self.b_dec = (x.mean(0) + 0.1 * x.std() * torch.randn(d_in, generator=random)).float().double()
        self.b_enc = (0.05 * torch.randn(d_sae, generator=random)).float().double()
        pre = ((x - self.b_dec) @ self.W_enc + self.b_enc).flatten().sort().values
        # The threshold lies in the widest gap near the 75th percentile, so that rounding flips no latent.
        near = pre[int(0.7 * len(pre)) : int(0.8 * len(pre))]
        at = (near[1:] - near[:-1]).argmax()
        self.threshold = torch.full((d_sae,), max(float((near[at] + near[at + 1]) / 2), 0.01)).float().double()

    def normalized(self, x):
        if self.normalize == "none":
            return x, torch.zeros_like(x[..., :1]), torch.ones_like(x[..., :1])
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return (x - mean) / (std + 1e-5), mean, std

    def encode(self, x):
        x, mean, std = self.normalized(x)
        pre = (x - self.b_dec) @ self.W_enc + self.b_enc
        self.margin = float(((pre - self.threshold).abs() / pre.abs().mean()).min())
        return torch.where(pre > self.threshold, pre.relu(), 0), mean, std

    def decode(self, acts, mean, std):
        return (acts @ self.W_dec + self.b_dec) * std + mean

    def save(self, folder, hook, meta_of=None):
        folder.mkdir(parents=True, exist_ok=True)
        d_in, d_sae = self.W_enc.shape
        metadata = {"model_name": "tiny", "hook_name": hook, "prepend_bos": False} | ({"meta_sae_of": meta_of} if meta_of else {})
        common = {"apply_b_dec_to_input": True, "normalize_activations": self.normalize, "reshape_activations": "none"}
        (folder / "cfg.json").write_text(json.dumps({"architecture": "jumprelu", "d_in": d_in, "d_sae": d_sae, "dtype": "float32", "device": "cpu", **common, "metadata": metadata}, indent=2) + "\n")
        names = ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"]
        save_file({name: getattr(self, name).float().contiguous() for name in names}, folder / "sae_weights.safetensors")


def main():
    for case, (family, layer, normalize) in CASES.items():
        folder = golden / "tiny-lms" / family
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval().double()
        model.requires_grad_(False)
        ids = load_file(folder / "golden.safetensors")["ids"].reshape(-1, 24)[0].long()
        lm = Lm(model, BLOCKS[family], layer)
        resid = lm.resid(ids)
        sae = Sae(resid.shape[1], D_SAE, 5, normalize, resid)
        unit = sae.W_dec / sae.W_dec.norm(dim=1, keepdim=True)
        meta = Sae(resid.shape[1], D_META, 6, "none", unit)
        target = golden / "attribution" / case
        hook = f"blocks.{layer - 1}.hook_resid_post"
        sae.save(target / "sae", hook)
        meta.save(target / "meta", hook, meta_of="sae")
        tensors = {"ids": ids} | attributions(lm, ids, sae, meta) | interventions(lm, ids, sae, meta)
        save_file({name: own(x) for name, x in tensors.items()}, target / "golden.safetensors", metadata={"torch": torch.__version__})
        acts = tensors["acts"]
        print(case, "L0", float((acts > 0).sum(1).double().mean()), "value", float(tensors["value"]), "baseline", float(tensors["baseline"]), "sums", float(tensors["gradient/latents"].sum()), float(tensors["integrated/latents"].sum() + tensors["integrated/error"].sum()))


def own(x):
    x = torch.as_tensor(x).detach().clone().contiguous()
    return x.float() if x.is_floating_point() else x.int()


class Lm:
    """A model whose input of one block can be read and replaced."""

    def __init__(self, model, blocks, layer):
        self.model, self.block = model, model.get_submodule(blocks)[layer]

    def resid(self, ids):
        kept = {}
        self.logits(ids, lambda x: kept.setdefault("x", x))
        return kept["x"]

    def logits(self, ids, change, end=None):
        """Logits [T, d_vocab]; `change` gives what enters the block in place of x [T, d_model]."""

        def hook(module, args, kwargs):
            x = args[0] if args else kwargs["hidden_states"]
            new = change(x[0])[None]
            return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

        handle = self.block.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            return self.model(ids[None], use_cache=False).logits[0]
        finally:
            handle.remove()


def attributions(lm, ids, sae, meta):
    x = lm.resid(ids)
    acts, mean, std = sae.encode(x)
    margin = sae.margin
    error = x - sae.decode(acts, mean, std)

    def metric(acts, error):
        logits = lm.logits(ids, lambda _: sae.decode(acts, mean, std) + error)
        return sum(w * logits[p, i] for p, i, w in TERMS)

    def slopes(acts, error, of=metric):
        acts, error = acts.clone().requires_grad_(), error.clone().requires_grad_()
        value = of(acts, error)
        return value, *torch.autograd.grad(value, [acts, error])

    value, d_acts, d_error = slopes(acts, error)
    t = {"acts": acts, "error": error, "value": value, "gradient/latents": d_acts * acts, "gradient/error": (d_error * error).sum(1)}

    chosen = torch.zeros(len(ids), 1).double()
    chosen[POSITIONS] = 1
    mean_acts, mean_error = torch.zeros_like(acts), torch.zeros_like(error)
    for step in range(STEPS):
        share = 1 - (1 - (step + 0.5) / STEPS) * chosen
        _, d_acts, d_error = slopes(acts * share, error * share)
        mean_acts += d_acts / STEPS
        mean_error += d_error / STEPS
    t |= {"integrated/latents": mean_acts * acts * chosen, "integrated/error": (mean_error * error * chosen).sum(1)}
    t["baseline"] = metric(acts * (1 - chosen), error * (1 - chosen))

    ablation = torch.zeros_like(acts)
    for position in POSITIONS:
        for latent in acts[position].nonzero()[:, 0]:
            less = acts.clone()
            less[position, latent] = 0
            ablation[position, latent] = value - metric(less, error)
    t["ablation"] = ablation

    t["direction"] = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(9))

    def projection(acts, error):
        kept = {}
        last = [m for n, m in lm.model.named_modules() if n.endswith(("ln_f", "model.norm"))][0]
        handle = last.register_forward_pre_hook(lambda _, args: kept.update(x=args[0]))
        lm.logits(ids, lambda _: sae.decode(acts, mean, std) + error)
        handle.remove()
        return kept["x"][0, 19] @ t["direction"].double()

    value, d_acts, _ = slopes(acts, error, projection)
    t |= {"direction/value": value, "direction/latents": d_acts * acts}

    norms = sae.W_dec.norm(dim=1)
    held, _, _ = meta.encode(sae.W_dec / norms[:, None])
    print("margins", margin, meta.margin, "meta L0", float((held > 0).sum(1).double().mean()))
    _, d_acts, d_error = slopes(acts, error)
    # d_error is the gradient at the SAE's output.
    per = torch.einsum("tl,lm,td,md->m", (acts * std * norms * chosen), held, d_error, meta.W_dec)
    t |= {"meta": per, "meta.rest": (t["gradient/latents"] * chosen).sum() - per.sum()}
    return t


def interventions(lm, ids, sae, meta):
    norms = sae.W_dec.norm(dim=1)
    held, _, _ = meta.encode(sae.W_dec / norms[:, None])
    vector = torch.randn(sae.W_dec.shape[1], generator=torch.Generator().manual_seed(9)).double()
    t = {}
    for name, (kind, index, mode, amount, keep_error) in INTERVENTIONS.items():

        def change(x):
            acts, mean, std = sae.encode(x)
            new = {"add": lambda c: c + amount, "clamp": lambda c: torch.full_like(c, amount), "scale": lambda c: c * amount, "ablate": torch.zeros_like}[mode]
            if kind == "direction":
                c = x @ vector / (vector @ vector)
                return x + (new(c) - c)[:, None] * vector
            base = x if keep_error else sae.decode(acts, mean, std)
            if kind == "latent":
                c = acts[:, index]
                return base + (new(c) - c)[:, None] * sae.W_dec[index] * std
            c = acts @ (norms * held[:, index])
            return base + (new(c) - c)[:, None] * meta.W_dec[index] * std

        t[f"{name}/logits"] = lm.logits(ids, change)
        sequence = ids.clone()
        for _ in range(WRITTEN):
            sequence = torch.cat([sequence, lm.logits(sequence, change)[-1].argmax()[None]])
        t[f"{name}/continuation"] = sequence[len(ids) :]
    return t


main()
