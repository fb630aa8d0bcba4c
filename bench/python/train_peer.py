"""What a training step costs in Python, on request.

usage: train_peer.py KIND CASE.json THREADS [DEVICE]

KIND "sae-lens": SAELens's own SAETrainer. KIND "sparse": BatchTopK with torch's sparse products and hand-written gradients,
what a careful person writes for a CPU. KIND "dense": plain torch with autograd (dense_trainer.py). DEVICE: torch's name, cpu by default;
not with "sparse". CASE.json: {"batches": FILE, "init": FILE, "sae_cfg": {...}, "trainer_cfg": {...}}.
One JSON object a line: {"steps": n} in; first the versions out, then one answer a request:
{"ms": [...], "cpuMs": [...], "losses": [...], "peakMB": ...}.
"""

import json
import os
import resource
import sys
import time
import warnings
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")


def sae_lens(case: dict, init: dict, device: str):
    """batch -> loss, after one step"""
    import torch
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import get_sae_training_class
    from sae_lens.training.sae_trainer import SAETrainer

    options = {key: value for key, value in case["sae_cfg"].items() if key != "architecture"}
    sae_class, config_class = get_sae_training_class(case["sae_cfg"]["architecture"])
    sae = sae_class(config_class(**options, device=device))
    with torch.no_grad():
        for key, value in sae.named_parameters():
            value.copy_(init[key])
    trainer = SAETrainer(SAETrainerConfig(**case["trainer_cfg"], device=device), sae, iter([]))

    def step(batch):
        output = trainer.step(batch.to(device))
        trainer.n_training_steps += 1
        return output.loss.item()

    return step


def sparse(case: dict, init: dict, _device: str):
    """batch -> loss, after one step; the arithmetic of SAELens's BatchTopK without its auxiliary loss"""
    import torch

    torch.set_grad_enabled(False)
    config, options = case["trainer_cfg"], case["sae_cfg"]
    encoder = init["W_enc"].T.contiguous()  # rows are latents, as in the decoder
    decoder, b_enc, b_dec = init["W_dec"].clone(), init["b_enc"].clone(), init["b_dec"].clone()
    parameters = [encoder, decoder, b_enc, b_dec]
    averages = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    n_latents = decoder.shape[0]
    state = {"step": 0, "smallest": 0.0}

    def chosen(scores: torch.Tensor, count: int):
        """the `count` largest: flat places in order, and their values; most are ruled out by the last batch's smallest"""
        flat = scores.flatten()
        places = torch.nonzero(flat > max(0.6 * state["smallest"], 1e-12))[:, 0]
        if len(places) < count:
            places = torch.nonzero(flat > 0)[:, 0]
        values, order = flat[places].topk(min(count, len(places)), sorted=False)
        places = places[order]
        places, order = places.sort()
        state["smallest"] = values.min().item()
        return places, values[order]

    def step(x: torch.Tensor) -> float:
        rows = x.shape[0]
        centred = x - b_dec
        norms = decoder.norm(dim=1)
        scores = torch.addmm(b_enc, centred, encoder.T).mul_(norms)
        places, values = chosen(scores, int(options["k"] * rows))
        row, latent = places // n_latents, places % n_latents
        acts = values / norms[latent]
        begins = torch.zeros(rows + 1, dtype=torch.long)
        begins[1:] = torch.bincount(row, minlength=rows).cumsum(0)
        by_row = torch.sparse_csr_tensor(begins, latent, acts, size=(rows, n_latents))
        error = torch.sparse.mm(by_row, decoder) + b_dec - x
        loss = error.pow(2).sum(1).mean().item()
        slope = error * (2 / rows)
        d_acts = torch.empty_like(acts)
        for at in range(0, len(acts), 32768):
            part = slice(at, at + 32768)
            d_acts[part] = (slope[row[part]] * decoder[latent[part]]).sum(1)
        by_latent = torch.sparse_coo_tensor(torch.stack([latent, row]), acts, (n_latents, rows)).to_sparse_csr()
        slopes = torch.sparse_coo_tensor(torch.stack([latent, row]), d_acts, (n_latents, rows)).to_sparse_csr()
        d_b_enc = torch.zeros(n_latents).index_add_(0, latent, d_acts)
        gradients = [torch.sparse.mm(slopes, centred), torch.sparse.mm(by_latent, slope), d_b_enc]
        gradients.append(slope.sum(0) - d_b_enc @ encoder)
        adam(gradients)
        return loss

    def adam(gradients: list) -> None:
        state["step"] += 1
        t = state["step"]
        norm = torch.stack([g.norm() for g in gradients]).norm().item()
        scale = min(1.0, 1.0 / (norm + 1e-6))
        root = (1 - 0.999**t) ** 0.5
        for p, g, (mean, square) in zip(parameters, gradients, averages):
            g.mul_(scale)
            mean.lerp_(g, 0.1)
            square.mul_(0.999).addcmul_(g, g, value=0.001)
            p.addcdiv_(mean, square.sqrt().div_(root).add_(1e-8), value=-config["lr"] / (1 - 0.9**t))

    return step


def main() -> None:
    kind, case_file, threads, device = [*sys.argv[1:4], *(sys.argv[4:5] or ["cpu"])]
    import torch
    from dense_trainer import dense
    from safetensors.torch import load_file

    torch.set_num_threads(int(threads))
    with open(case_file) as file:
        case = json.load(file)
    batches = load_file(case["batches"])["batches"]
    step = {"sae-lens": sae_lens, "sparse": sparse, "dense": dense}[kind](case, load_file(case["init"]), device)
    names = ("torch", "sae-lens") if kind == "sae-lens" else ("torch",)
    print(json.dumps({"versions": {name: version(name) for name in names}}), flush=True)
    taken = 0
    for line in sys.stdin:
        ms, cpu_ms, losses = [], [], []
        for _ in range(json.loads(line)["steps"]):
            batch = batches[taken % len(batches)].clone()
            taken += 1
            start, cpu = time.perf_counter(), time.process_time()
            losses.append(step(batch))
            ms.append(1e3 * (time.perf_counter() - start))
            cpu_ms.append(1e3 * (time.process_time() - cpu))
        # Kilobytes on Linux, bytes on macOS.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        print(json.dumps({"ms": ms, "cpuMs": cpu_ms, "losses": losses, "peakMB": peak}), flush=True)


if __name__ == "__main__":
    main()
