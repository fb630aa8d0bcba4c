"""What SAELens makes of saved SAEs: loads each with its own loader and runs it.

    python test/python/sae_lens_outputs.py FOLDER

FOLDER holds one folder for each SAE (cfg.json, sae_weights.safetensors) with the activations x.safetensors; for each it
writes output.safetensors with acts and forward, and the class to output.json.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE


def main() -> None:
    torch.set_grad_enabled(False)
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        x = load_file(folder / "x.safetensors")["x"]
        sae = SAE.load_from_disk(folder, device="cpu", dtype="float32").eval()
        outputs = {"acts": sae.encode(x), "forward": sae(x)}
        save_file({key: value.contiguous() for key, value in outputs.items()}, folder / "output.safetensors")
        facts = {"class": type(sae).__name__, "metadata": sae.cfg.metadata.to_dict()}
        (folder / "output.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
