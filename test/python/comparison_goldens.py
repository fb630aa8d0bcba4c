"""Golden comparisons of texts with the demo's model and an SAE of it, by transformers, torch and SAELens.

    python test/python/comparison_goldens.py

Writes test/golden/comparison/golden.json:
  sentences, and for each that is left out and each after it a cell: tokens compared and not compared, change = sum |after - before|,
  dissimilarity = SciPy's Bray-Curtis of all activations of the compared tokens, and the five latents that change most;
  two texts with their tokens aligned by difflib's longest matching blocks (the texts are such that there is one alignment).
Position 0 (BOS) counts nowhere. A token is compared if the same id ends at the same character in both texts.
"""
import difflib
import json
import pathlib

import numpy as np
import torch
from sae_lens import SAE
from scipy.spatial.distance import braycurtis
from transformers import AutoModelForCausalLM, AutoTokenizer

root = pathlib.Path(__file__).parents[2]
SENTENCES = [
    "Albert Einstein was born in Ulm. ",
    "He worked in a patent office in Bern.\n",
    "The theory of relativity made him famous! ",
    "Physicists still use it today.",
]
BEFORE = "The ship sailed across the cold sea. Nobody on board spoke to the captain."
AFTER = "The ship sailed across the warm sea. Nobody on board spoke to the captain."
LAYER = 2

torch.set_grad_enabled(False)
tokenizer = AutoTokenizer.from_pretrained(root / "demo/lm")
model = AutoModelForCausalLM.from_pretrained(root / "demo/lm", torch_dtype=torch.float32)
sae = SAE.load_from_disk(root / "demo/saes/resid2-6144")
bos = tokenizer.bos_token_id


def read(text):
    """Ids, the character at which each token ends (-1 for BOS), and activations [T, d_sae]."""
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    ids = [bos, *encoded["input_ids"]]
    ends = [-1, *(end for _, end in encoded["offset_mapping"])]
    resid = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[LAYER + 1]
    return ids, ends, sae.encode(resid)[0].double().numpy()


def figures(before, after):
    change = np.abs(after - before)
    by_latent = change.sum(0)
    strongest = np.argsort(-by_latent)[:5]
    return {
        "change": float(change.sum()),
        "dissimilarity": float(braycurtis(before.ravel(), after.ravel())),
        "latents": [{"latent": int(it), "change": float(by_latent[it])} for it in strongest],
    }


def cells():
    text = "".join(SENTENCES)
    ids, ends, acts = read(text)
    starts = np.cumsum([0, *map(len, SENTENCES)])
    for left_out in range(len(SENTENCES) - 1):
        cut = (starts[left_out], starts[left_out + 1])
        short_ids, short_ends, short_acts = read(text[: cut[0]] + text[cut[1] :])
        place = {end + (cut[1] - cut[0] if end > cut[0] else 0): at for at, end in enumerate(short_ends) if end >= 0}
        for affected in range(left_out + 1, len(SENTENCES)):
            pairs, not_compared = [], 0
            for token, end in enumerate(ends):
                # The last character decides the sentence.
                if end < 0 or not starts[affected] <= end - 1 < starts[affected + 1]:
                    continue
                other = place.get(end)
                if other is None or short_ids[other] != ids[token]:
                    not_compared += 1
                else:
                    pairs.append((token, other))
            rows = figures(acts[[a for a, _ in pairs]], short_acts[[b for _, b in pairs]])
            yield {"leftOut": left_out, "affected": affected, "tokens": len(pairs), "notCompared": not_compared, **rows}


def texts():
    (a_ids, _, a), (b_ids, _, b) = read(BEFORE), read(AFTER)
    blocks = difflib.SequenceMatcher(None, a_ids, b_ids, autojunk=False).get_matching_blocks()
    pairs = [(block.a + at, block.b + at) for block in blocks for at in range(block.size)]
    shared = [(x, y) for x, y in pairs if x > 0]
    return {
        "before": BEFORE,
        "after": AFTER,
        "pairs": pairs,
        "shared": figures(a[[x for x, _ in shared]], b[[y for _, y in shared]]),
    }


golden = {"sentences": SENTENCES, "cells": list(cells()), "texts": texts()}
path = root / "test/golden/comparison/golden.json"
path.write_text(json.dumps(golden, indent=1) + "\n")
print(path, path.stat().st_size, "bytes")
