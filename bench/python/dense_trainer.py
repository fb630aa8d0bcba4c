"""SAE training in plain torch with autograd and dense products, on any device: what one writes first for a GPU.

Needs torch alone. Losses are those of SAELens 6.54 (saes/*.py) with its defaults: norms of decoder rows weigh penalties and
decide which latents are largest, gradients are clipped to norm 1, no latent is dead yet.
"""

import torch

CLIP = 1.0
BANDWIDTH = 0.05


class Jump(torch.autograd.Function):
    """x where it exceeds the threshold, and 1 where it does; straight-through estimates for the threshold"""

    @staticmethod
    def forward(ctx, x, threshold):
        ctx.save_for_backward(x, threshold)
        active = x > threshold
        return x * active, active.to(x.dtype)

    @staticmethod
    def backward(ctx, d_acts, d_active):
        x, threshold = ctx.saved_tensors
        near = ((x - threshold).abs() < BANDWIDTH / 2).to(x.dtype) / BANDWIDTH
        estimate = near * (threshold * d_acts + d_active)
        return (x > threshold) * d_acts, -estimate.sum(0)


def squared(error: torch.Tensor) -> torch.Tensor:
    return error.pow(2).sum(-1).mean()


def loss_of(options: dict, p: dict, x: torch.Tensor) -> torch.Tensor:
    """The loss of a batch; `p` are the parameters by SAELens's names."""
    kind = options["architecture"]
    linear = (x - p["b_dec"]) @ p["W_enc"]
    norms = p["W_dec"].norm(dim=1)
    if kind == "gated":
        gate = linear + p["b_gate"]
        acts = (gate > 0) * torch.relu(linear * p["r_mag"].exp() + p["b_mag"])
        opened = torch.relu(gate)
        penalty = options["l1_coefficient"] * (opened * norms).sum(-1).mean()
        through_gates = opened @ p["W_dec"] + p["b_dec"]
        return squared(acts @ p["W_dec"] + p["b_dec"] - x) + penalty + squared(through_gates - x)
    pre = linear + p["b_enc"]
    if kind == "standard":
        acts = torch.relu(pre)
        penalty = options["l1_coefficient"] * (acts * norms).sum(-1).mean()
        return squared(acts @ p["W_dec"] + p["b_dec"] - x) + penalty
    if kind == "jumprelu":
        acts, active = Jump.apply(torch.relu(pre), p["threshold"])
        penalty = options["l0_coefficient"] * active.sum(-1).mean()
        return squared(acts @ p["W_dec"] + p["b_dec"] - x) + penalty
    scores = (pre * norms).detach()
    if kind == "abstopk":
        mask = torch.zeros_like(pre).scatter_(1, scores.abs().topk(options["k"], sorted=False).indices, 1)
    elif kind == "topk":
        mask = torch.zeros_like(pre).scatter_(1, scores.topk(options["k"], sorted=False).indices, 1) * (pre > 0)
    else:
        count = int(options["k"] * len(x))
        places = torch.relu(scores).flatten().topk(count, sorted=False).indices
        mask = torch.zeros_like(pre).flatten().scatter_(0, places, 1).view_as(pre) * (pre > 0)
    acts = pre * mask
    widths = options.get("matryoshka_widths", [acts.shape[1]])
    x_hat, begin, loss = p["b_dec"], 0, 0
    for end in widths:
        x_hat = x_hat + acts[:, begin:end] @ p["W_dec"][begin:end]
        loss = loss + squared(x_hat - x)
        begin = end
    return loss


def dense(case: dict, init: dict, device: str):
    """batch -> loss, after one step"""
    # float32 is float32, as everywhere in the comparison.
    torch.backends.cuda.matmul.allow_tf32 = False
    options = case["sae_cfg"]
    p = {name: value.to(device).clone().requires_grad_() for name, value in init.items()}
    adam = torch.optim.Adam(p.values(), lr=case["trainer_cfg"]["lr"], fused=device != "cpu")

    def step(batch: torch.Tensor) -> float:
        loss = loss_of(options, p, batch.to(device))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), CLIP)
        adam.step()
        return loss.item()

    return step
