"""What activations of a layer cost in plain transformers and torch, on request.

usage: harvest_peer.py MODEL_FOLDER LAYER THREADS

The model holds only the layers up to LAYER; windows of one length are run 16 at a time. One JSON object a line:
{"windows": [[ids]]} in; first the versions out, then one answer a request:
{"ms": ..., "cpuMs": ..., "row": [the last token's activations], "peakMB": ...}.
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
BATCH = 16


def main() -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    folder, layer, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = layer + 1
    model = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    model.norm = torch.nn.Identity()  # the last hidden state is the residual stream then
    print(json.dumps({"versions": {name: version(name) for name in ("torch", "transformers")}}), flush=True)
    for line in sys.stdin:
        windows = torch.tensor(json.loads(line)["windows"])
        cpu, start = time.process_time(), time.perf_counter()
        for at in range(0, len(windows), BATCH):
            rows = model(input_ids=windows[at : at + BATCH], use_cache=False).last_hidden_state
        ms = (time.perf_counter() - start) * 1000
        answer = {
            "ms": ms,
            "cpuMs": (time.process_time() - cpu) * 1000,
            "row": rows[-1, -1].tolist(),
            "peakMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


main()
