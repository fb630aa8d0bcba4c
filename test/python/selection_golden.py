#!/usr/bin/env python3
"""SAEBench's selecting probe by torch from a start of zeros: selection_golden.py absorption_probe_data.safetensors SAE_FOLDER OUT.json

Ten latents a label with their weights, largest first; the SAE is a jumprelu in SAELens's layout.
"""
import json, sys
from math import exp, log
import torch
from safetensors.torch import load_file

data = load_file(sys.argv[1])
sae = {k: v.float() for k, v in load_file(f"{sys.argv[2]}/sae_weights.safetensors").items()}
x, y = data["X_train"], torch.nn.functional.one_hot(data["y_train"].long(), 26).float()
pre = (x - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"]
acts = pre * (pre > sae["threshold"])
probe = torch.nn.Linear(acts.shape[1], 26)
torch.nn.init.zeros_(probe.weight); torch.nn.init.zeros_(probe.bias)
loss = torch.nn.BCEWithLogitsLoss(pos_weight=(len(y) - y.sum(0)) / y.sum(0))
adam = torch.optim.Adam(probe.parameters(), lr=0.01, weight_decay=1e-6)
fall = torch.optim.lr_scheduler.ExponentialLR(adam, gamma=exp(log(1e-5 / 0.01) / 50))
for _ in range(50):
    adam.zero_grad()
    (loss(probe(acts), y) + 0.01 * probe.weight.abs().sum(-1).mean()).backward()
    adam.step(); fall.step()
top = probe.weight.detach().topk(11)
json.dump({"latents": top.indices.tolist(), "weights": [[round(w, 7) for w in row] for row in top.values.tolist()]}, open(sys.argv[3], "w"))
