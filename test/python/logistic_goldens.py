#!/usr/bin/env python3
"""Logistic regressions by scikit-learn run to their minimum: logistic_goldens.py k_sparse_probing.safetensors k_sparse_probing.json OUT.safetensors

For each k and label of the k-sparse golden `k.label` = [weights…, intercept] (balanced, C = 1, Newton, tol 1e-12); `multinomial.weights`
[labels, d] and `multinomial.biases` on all columns (C = 1).
"""
import json, sys
import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

arrays, facts, out = load_file(sys.argv[1]), json.load(open(sys.argv[2])), {}
X, y = arrays["X"].astype(np.float64), arrays["y"]
for k, labels in facts["k_probes"].items():
    for label, probe in labels.items():
        fit = LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X[:, probe["feature_ids"]], y == int(label))
        out[f"{k}.{label}"] = np.append(fit.coef_[0], fit.intercept_[0])
fit = LogisticRegression(tol=1e-9, max_iter=20000).fit(X, y)
out["multinomial.weights"], out["multinomial.biases"] = np.ascontiguousarray(fit.coef_), fit.intercept_
save_file(out, sys.argv[3])
