"""SAEBench's absorption evaluation of one SAE, stage by stage, in torch.

usage: absorption_peer.py MODEL_FOLDER SAE_FOLDER LAYER WORDS_PER_LETTER THREADS

The stages, sizes and recipes of sae-bench 0.6.0 (evals/absorption): one prompt with ten examples a word, batches of 10; a
probe by 50 epochs of Adam in batches of 64; a probe with L1 on the latents, encoded anew in every epoch; for each letter and
k = 1 … 10 a logistic regression by scipy's L-BFGS, which is scikit-learn's, on latents encoded anew; then fresh prompts for
the words that the probe is right about, and the projection rule. In its favour: only the layers up to the SAE are held and run
(sae-bench runs the whole model). Prints one JSON object: {"ms", "cpuMs", "stages", "words", "fraction", "peakMB", "versions"}.
"""

import json
import os
import random
import resource
import sys
import time
import warnings
from importlib.metadata import version
from math import exp, log

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
warnings.filterwarnings("ignore")

import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, one_hot

folder, sae_folder, layer, per_letter, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
torch.set_num_threads(threads)
torch.manual_seed(42)
random.seed(42)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def load():
    from sae_lens import SAE
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = layer + 1
    model = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    model.norm = torch.nn.Identity()
    return model, AutoTokenizer.from_pretrained(folder), SAE.load_from_disk(sae_folder, device="cpu").float()


model, tokenizer, sae = load()


def words():
    found = {letter: [] for letter in LETTERS}
    for token in tokenizer.get_vocab():
        word = tokenizer.convert_tokens_to_string([token])
        bare = word[1:] if word.startswith(" ") else word
        if bare.isascii() and bare.isalpha():
            found[bare[0].lower()].append(word)
    return [w for list_ in found.values() for w in random.sample(list_, min(per_letter, len(list_)))]


def prompt(word, examples):
    while True:
        drawn = random.sample(examples, 10)
        if word not in drawn:
            break
    lines = [f"{it} has the first letter: {it.strip()[0].upper()}" for it in drawn]
    return "\n" + "\n".join(lines) + f"\n{word} has the first letter:"


@torch.inference_mode()
def residuals(prompts):
    rows = []
    for at in range(0, len(prompts), 10):
        ids = tokenizer(prompts[at : at + 10], return_tensors="pt", add_special_tokens=False).input_ids
        rows.append(model(input_ids=ids, use_cache=False).last_hidden_state[:, -6])
    return torch.cat(rows)


def train(x, y, batch, decay, l1, encode):
    width = sae.cfg.d_sae if encode else x.shape[1]
    probe = torch.nn.Linear(width, 26)
    positive = (len(y) - y.sum(0)) / y.sum(0)
    adam = torch.optim.Adam(probe.parameters(), lr=0.01, weight_decay=decay)
    fall = torch.optim.lr_scheduler.ExponentialLR(adam, gamma=exp(log(1e-5 / 0.01) / 50))
    for _ in range(50):
        for rows in torch.randperm(len(y)).split(batch):
            with torch.no_grad():
                seen = sae.encode(x[rows]) if encode else x[rows]
            adam.zero_grad()
            loss = binary_cross_entropy_with_logits(probe(seen), y[rows], pos_weight=positive)
            (loss + l1 * probe.weight.abs().sum(-1).mean()).backward()
            adam.step()
        fall.step()
    return probe


def logistic(x, y):
    weight = np.where(y, len(y) / (2 * y.sum()), len(y) / (2 * (~y).sum()))
    sign = np.where(y, 1.0, -1.0)

    def objective(theta):
        z = sign * (x @ theta[:-1] + theta[-1])
        slope = -weight * sign / (1 + np.exp(np.clip(z, -500, 500)))
        value = 0.5 * theta[:-1] @ theta[:-1] + weight @ np.logaddexp(0, -z)
        return value, np.append(theta[:-1] + x.T @ slope, slope.sum())

    found = minimize(objective, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-1], found.x[-1]


def f1(says, truth):
    hits = (says & truth).sum()
    return 2 * hits / max(1, says.sum() + truth.sum())


usage = resource.getrusage(resource.RUSAGE_SELF)
cpu, stages, started = usage.ru_utime + usage.ru_stime, {}, time.perf_counter()


def stage(name):
    stages[name] = round(1000 * (time.perf_counter() - started - sum(stages.values()) / 1000))


vocabulary = words()
order = random.sample(vocabulary, len(vocabulary))
cut = int(0.8 * len(order))
split = (order[:cut], order[cut:])
x = [residuals([prompt(word, part) for word in part]) for part in split]
y = [torch.tensor([LETTERS.index(word.strip()[0].lower()) for word in part]) for part in split]
hot = one_hot(y[0], 26).float()
stage("words")
truth = train(x[0], hot, 64, 1e-4, 0, False)
stage("probe")
selecting = train(x[0], hot, 4096, 1e-6, 0.01, True)
stage("selection")
main = {}
with torch.no_grad():
    held = sae.encode(x[1]).numpy()
    for letter in range(26):
        best, main[letter] = -100, []
        scores = []
        for k in range(1, 11):
            latents = selecting.weight[letter].topk(k).indices.numpy()
            seen = sae.encode(x[0])[:, latents].numpy().astype(np.float64)
            w, b = logistic(seen, (y[0] == letter).numpy())
            scores.append((f1(held[:, latents] @ w + b > 0, (y[1] == letter).numpy()), latents))
        for score, latents in scores:
            if score <= best + 0.03:
                break
            best, main[letter] = score, latents
stage("k-sparse probes")
fractions = []
with torch.inference_mode():
    for letter in range(26):
        p = truth.weight[letter] / truth.weight[letter].norm()
        right = [w for w, c, z in zip(split[1], y[1], truth(x[1])[:, letter]) if c == letter and z > 0]
        if not right:
            continue
        cosines = cosine_similarity(p, sae.W_dec, dim=-1)
        rows = residuals([prompt(word, vocabulary) for word in right])
        for row, acts in zip(rows, sae.encode(rows)):
            parts, whole = acts * cosines, row @ p
            carried = parts[main[letter]].sum()
            free = (cosines >= 0.1) & (parts > 0)
            free[main[letter]] = False
            taken = parts[free].topk(min(3, int(free.sum()))).values.sum()
            if carried >= whole or taken / whole < 0.4:
                fractions.append(0.0)
            elif carried <= 0:
                fractions.append(1.0)
            else:
                taken = min(taken, whole - carried)
                fractions.append(float(taken / (taken + carried)))
stage("absorption")
usage = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "ms": sum(stages.values()),
            "cpuMs": 1000 * (usage.ru_utime + usage.ru_stime - cpu),
            "stages": stages,
            "words": len(vocabulary),
            "fraction": float(np.mean(fractions)),
            "peakMB": usage.ru_maxrss / 1024,
            "versions": {it: version(it) for it in ("torch", "transformers", "sae-lens")},
        }
    )
)
