"""Ten-step training runs with options that test/golden/training does not have, and learning rates of many schedules.

    python test/python/training_goldens.py [--dictionary-learning FOLDER]

with the packages of requirements.txt. FOLDER holds the package dictionary_learning 0.1.0 (its dependency nnsight is not
needed); without it the runs of that library are left as they are. Reads test/golden/training/batches.safetensors, writes
test/golden/training-more/NAME.{json,safetensors} in the form of test/golden/training, and schedules.json.
"""

import argparse
import json
import sys
import types
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "test/golden/training-more"
STEPS, ROWS, D_SAE = 10, 64, 48


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dictionary-learning", type=Path)
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    batches = load_file(ROOT / "test/golden/training/batches.safetensors")["batches"]
    for name, architecture, sae, trainer in SAE_LENS:
        run_sae_lens(name, architecture, sae, trainer, batches)
    (OUT / "schedules.json").write_text(json.dumps(schedules(), indent=1))
    if options.dictionary_learning:
        sys.path.insert(0, str(options.dictionary_learning))
        for module in ("nnsight", "circuitsvis", "umap"):
            stub = types.ModuleType(module)
            stub.LanguageModel = stub.NNsight = type("Stub", (), {})
            sys.modules.setdefault(module, stub)
        for name, trainer, arguments in DICTIONARY_LEARNING:
            run_dictionary_learning(name, trainer, arguments, batches)


BASE = {"lr_warm_up_steps": 3, "lr_decay_steps": 3, "dead_feature_window": 1}
SAE_LENS = [
    (
        "jumprelu_tanh_ste_to_input",
        "jumprelu",
        {
            "jumprelu_sparsity_loss_mode": "tanh",
            "jumprelu_ste_to_input": True,
            "jumprelu_bandwidth": 0.2,
            "jumprelu_init_threshold": 2.5,
            "pre_act_loss_coefficient": 0.02,
            "l0_coefficient": 0.2,
            "l0_warm_up_steps": 4,
        },
        {"dead_feature_window": 0},
    ),
    (
        "jumprelu_step_ste_to_input",
        "jumprelu",
        {
            "jumprelu_ste_to_input": True,
            "jumprelu_bandwidth": 0.3,
            "jumprelu_init_threshold": 0.1,
            "l0_coefficient": 0.1,
        },
        {"lr_scheduler_name": "cosineannealing"},
    ),
    (
        "matryoshka_aux_per_level",
        "matryoshka_batchtopk",
        {"k": 2.5, "matryoshka_widths": [8, 24, 48], "use_matryoshka_aux_loss": True},
        {"dead_feature_window": 0},
    ),
    ("standard_lp_1.5", "standard", {"l1_coefficient": 0.3, "lp_norm": 1.5}, {}),
    (
        "standard_layer_norm",
        "standard",
        {"l1_coefficient": 0.2, "normalize_activations": "layer_norm"},
        {},
    ),
    (
        "topk_constant_norm_rescale",
        "topk",
        {"k": 5, "normalize_activations": "constant_norm_rescale", "aux_loss_coefficient": 0.0},
        # No latent may be dead, or the library refuses.
        {"dead_feature_window": 100},
    ),
    (
        "topk_whitening",
        "topk",
        {"k": 4, "normalize_activations": "covariance_whitening", "apply_b_dec_to_input": False},
        {"adam_beta1": 0.0},
    ),
    (
        "gated_whitening",
        "gated",
        {
            "l1_coefficient": 0.2,
            "normalize_activations": "covariance_whitening",
            "apply_b_dec_to_input": False,
        },
        {},
    ),
    (
        "batchtopk_restarts",
        "batchtopk",
        {"k": 3.3, "rescale_acts_by_decoder_norm": False, "normalize_activations": "expected_average_only_in"},
        {"lr_scheduler_name": "cosineannealingwarmrestarts", "n_restart_cycles": 2, "lr_decay_steps": 2},
    ),
]


def run_sae_lens(name: str, architecture: str, sae_options: dict, trainer_options: dict, batches: torch.Tensor) -> None:
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import get_sae_training_class
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sae_class, config_class = get_sae_training_class(architecture)
    sae = sae_class(config_class(d_in=batches.shape[-1], d_sae=D_SAE, **sae_options))
    with torch.no_grad():
        # Biases that are 0 would hide mistakes.
        for key, value in sae.named_parameters():
            if key.startswith("b_") or key == "r_mag":
                value += torch.linspace(-0.05, 0.05, value.numel())
    options = {"lr": 0.01, "lr_end": 0.001, **BASE, **trainer_options}
    config = SAETrainerConfig(total_training_samples=STEPS * ROWS, train_batch_size_samples=ROWS, **options)
    trainer = SAETrainer(config, sae, iter([]))
    provider = (batch.clone() for batch in list(batches) * 2)
    norm = sae.cfg.normalize_activations
    if norm == "expected_average_only_in":
        trainer.activation_scaler.estimate_scaling_factor(batches.shape[-1], provider, STEPS)
    elif norm == "covariance_whitening":
        trainer.activation_scaler.estimate_whitening(batches.shape[-1], provider, STEPS)
    tensors = {f"init/{key}": value.detach().clone() for key, value in sae.named_parameters()}
    scaler = trainer.activation_scaler
    if scaler.whitening is not None:
        for key in ("mean", "matrix", "inverse_matrix"):
            tensors[f"whitening/{key}"] = getattr(scaler.whitening, key).contiguous()
    log = []
    for step in range(STEPS):
        entry = {"step": step, "lr": trainer.optimizer.param_groups[0]["lr"], "dead_before": int(trainer.dead_neurons.sum())}
        output = trainer.step(batches[step].clone())
        trainer.n_training_steps += 1
        entry["loss"] = output.loss.item()
        entry["losses"] = {key: value.item() for key, value in output.losses.items()}
        entry["mean_l0"] = output.feature_acts.bool().float().sum(-1).mean().item()
        if "topk_threshold" in output.metrics:
            entry["topk_threshold"] = output.metrics["topk_threshold"].item()
        log.append(entry)
        if step == 0:
            tensors |= {f"step1/{key}": value.detach().clone() for key, value in sae.named_parameters()}
    tensors |= {f"final/{key}": value.detach().clone() for key, value in sae.named_parameters()}
    sae_cfg = {key: value for key, value in sae.cfg.to_dict().items() if key != "metadata"}
    trainer_cfg = {key: value for key, value in asdict(config).items() if key != "logger"}
    hyper = {"sae_cfg": sae_cfg, "trainer_cfg": trainer_cfg, "scaling_factor": scaler.scaling_factor}
    hyper = json.loads(json.dumps(hyper))
    if scaler.scaling_factor is not None:
        sae.fold_activation_norm_scaling_factor(scaler.scaling_factor)
    if scaler.whitening is not None:
        white = scaler.whitening
        sae.fold_activation_whitening(white.mean, white.matrix, white.inverse_matrix)
    state = sae.state_dict()
    sae.process_state_dict_for_saving_inference(state)
    tensors |= {f"inference/{key}": value.detach().contiguous().clone() for key, value in state.items()}
    write(f"sae-lens__{name}", hyper, log, tensors)


DICTIONARY_LEARNING = [
    (
        "gated_anneal",
        "gated_anneal.GatedAnnealTrainer",
        {"sparsity_function": "Lp^p", "anneal_start": 2, "anneal_end": 8, "n_sparsity_updates": 3, "p_end": 0.5},
    ),
    (
        "p_anneal_continuous",
        "p_anneal.PAnnealTrainer",
        {"sparsity_function": "Lp^p", "anneal_start": 4, "anneal_end": 8, "n_sparsity_updates": "continuous", "p_end": 0.6},
    ),
    ("topk_few", "top_k.TopKTrainer", {"k": 40, "threshold_beta": 0.5, "threshold_start_step": 1}),
]


def run_dictionary_learning(name: str, path: str, arguments: dict, batches: torch.Tensor) -> None:
    import importlib

    module, class_name = path.split(".")
    trainer_class = getattr(importlib.import_module(f"dictionary_learning.trainers.{module}"), class_name)
    common = {"steps": 20, "activation_dim": batches.shape[-1], "dict_size": D_SAE, "layer": 9, "lm_name": "x"}
    common |= {"lr": 0.01, "warmup_steps": 3, "decay_start": 8, "seed": 0, "device": "cpu"}
    if "sparsity_function" in arguments:
        common |= {"sparsity_warmup_steps": 2}
    given = {**common, **arguments}
    torch.set_num_threads(1)
    trainer = trainer_class(**given)
    tensors = {f"init/{key}": value.detach().clone().contiguous() for key, value in trainer.ae.named_parameters()}
    log = []
    for step in range(STEPS):
        entry = {"step": step, "lr": trainer.optimizer.param_groups[0]["lr"]}
        loss_of = trainer.loss

        def loss(*arguments, **keywords):
            value = loss_of(*arguments, **keywords)
            entry["loss"] = value.item()
            return value

        trainer.loss = loss
        trainer.update(step, batches[step].clone())
        trainer.loss = loss_of
        for key in ("p", "next_p", "sparsity_coeff"):
            if hasattr(trainer, key):
                entry[key] = getattr(trainer, key)
        for key in ("lp_loss", "scaled_lp_loss"):
            if hasattr(trainer, key):
                entry[key] = getattr(trainer, key).item()
        if hasattr(trainer.ae, "threshold"):
            entry["threshold"] = float(trainer.ae.threshold)
        log.append(entry)
        if step == 0:
            tensors |= {f"step1/{key}": value.detach().clone().contiguous() for key, value in trainer.ae.named_parameters()}
    tensors |= {f"final/{key}": value.detach().clone().contiguous() for key, value in trainer.ae.named_parameters()}
    # What the trainer's own config leaves out.
    left_out = {key: value for key, value in given.items() if key not in trainer.config}
    if "initial_sparsity_penalty" not in given and "sparsity_function" in given:
        left_out["initial_sparsity_penalty"] = 0.1
    hyper = json.loads(json.dumps({**trainer.config, **left_out}))
    write(f"dictionary-learning__{name}", hyper, log, tensors)


def schedules() -> list[dict]:
    """Learning rates of SAELens's schedulers, step by step."""
    from sae_lens.training.optim import get_lr_scheduler

    cases = [
        ("constant", 20, 0, 0, 1),
        ("constant", 20, 1, 0, 1),
        ("constant", 20, 5, 5, 1),
        ("constant", 20, 0, 20, 1),
        ("cosineannealing", 20, 0, 0, 1),
        ("cosineannealing", 20, 4, 6, 1),
        ("cosineannealingwarmrestarts", 30, 3, 4, 3),
        ("cosineannealingwarmrestarts", 31, 0, 0, 4),
    ]
    found = []
    for main, steps, warm, decay, cycles in cases:
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.Adam([parameter], lr=0.01)
        scheduler = get_lr_scheduler(
            main, optimizer, training_steps=steps, lr=0.01, warm_up_steps=warm, decay_steps=decay, lr_end=0.002, num_cycles=cycles
        )
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        schedule = {"kind": "chained", "main": main, "warmUpSteps": warm, "decaySteps": decay, "lrEnd": 0.002, "cycles": cycles}
        found.append({"lr": 0.01, "steps": steps, "lrSchedule": schedule, "rates": rates})
    return found


def write(name: str, hyper: dict, log: list[dict], tensors: dict) -> None:
    (OUT / f"{name}.json").write_text(json.dumps({"name": name.replace("__", "/"), "hyper": hyper, "log": log}, indent=1))
    save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")
    print(name, log[0]["loss"], log[-1]["loss"], [entry.get("dead_before") for entry in log])


if __name__ == "__main__":
    main()
