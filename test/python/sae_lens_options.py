"""All options of SAELens's trainers with their defaults: test/golden/training-more/sae-lens-options.json.

    python test/python/sae_lens_options.py
"""
import dataclasses
import json
import pathlib

from sae_lens.config import SAETrainerConfig
from sae_lens.registry import SAE_TRAINING_CLASS_REGISTRY


def options(cls):
    plain = (bool, int, float, str, type(None))
    return {f.name: f.default if isinstance(f.default, plain) else None for f in dataclasses.fields(cls)}


found = {name: options(config) for name, (_, config) in SAE_TRAINING_CLASS_REGISTRY.items()}
target = pathlib.Path(__file__).parents[1] / "golden" / "training-more" / "sae-lens-options.json"
target.write_text(json.dumps({"sae_cfg": found, "trainer_cfg": options(SAETrainerConfig)}, indent=2) + "\n")
