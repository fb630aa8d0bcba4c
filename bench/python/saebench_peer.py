"""SAEBench's absorption evaluation of one SAE, by sae-bench itself.

usage: saebench_peer.py MODEL_FOLDER SAE_FOLDER LAYER WORDS_PER_LETTER THREADS

Its `run_eval` with its default options, on a TransformerLens model. What differs from a plain run, all in its favour or for
the same task on both sides: words are single tokens, at most WORDS_PER_LETTER of a letter; the model ends behind the SAE's
layer and has no unembedding; latents are encoded once for all probes (`precalc_k_sparse_probe_sae_acts`); a model with fewer
than 20 letters that probes know is evaluated all the same. Loading the model and the SAE is not timed.
Prints one JSON object: {"ms", "cpuMs", "words", "fraction", "peakMB", "versions"}.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import types
import warnings
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
warnings.filterwarnings("ignore")

import torch

folder, sae_folder, layer, per_letter, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
torch.set_num_threads(threads)


def load_model():
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    c = source.config
    cfg = HookedTransformerConfig(
        d_model=c.hidden_size,
        d_head=c.hidden_size // c.num_attention_heads,
        n_heads=c.num_attention_heads,
        n_key_value_heads=c.num_key_value_heads,
        d_mlp=c.intermediate_size,
        n_layers=c.num_hidden_layers,
        n_ctx=2048,
        eps=c.rms_norm_eps,
        d_vocab=c.vocab_size,
        act_fn="silu",
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=c.hidden_size // c.num_attention_heads,
        rotary_base=100000,
        final_rms=True,
        gated_mlp=True,
        original_architecture="LlamaForCausalLM",
        model_name="SmolLM2-135M-Instruct",
        dtype=torch.float32,
        device="cpu",
        default_prepend_bos=False,
        tokenizer_prepends_bos=False,
    )
    model = HookedTransformer(
        cfg, tokenizer=AutoTokenizer.from_pretrained(folder), default_padding_side="right"
    )
    model.load_and_process_state_dict(
        convert_llama_weights(source, cfg),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
        refactor_factored_attn_matrices=False,
    )
    model.eval()
    model.cfg.default_prepend_bos = False
    model.blocks = torch.nn.ModuleList(list(model.blocks)[: layer + 1])
    model.cfg.n_layers = layer + 1

    class Nothing(torch.nn.Module):
        def forward(self, x):
            return x[..., :2]

    model.unembed = Nothing()
    model.setup()
    return model


def load_sae():
    from sae_lens import SAE

    sae = SAE.load_from_disk(sae_folder, device="cpu").float()
    for key, value in {
        "hook_name": f"blocks.{layer}.hook_resid_post",
        "hook_layer": layer,
        "hook_head_index": None,
        "model_name": "SmolLM2-135M-Instruct",
        "context_size": 128,
        "prepend_bos": False,
    }.items():
        setattr(sae.cfg, key, value)
    return sae


def words(tokenizer, get_alpha_tokens):
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    newline = ids("\n")
    found = {}
    for word in get_alpha_tokens(tokenizer):
        inside = ids("\n" + word + " has")
        if len(ids(word)) == 1 and len(inside) == 3 and inside[:1] == newline:
            found.setdefault(word.strip()[0].lower(), []).append(word)
    random.seed(42)
    return [w for letter in sorted(found) for w in random.sample(found[letter], min(per_letter, len(found[letter])))]


with contextlib.redirect_stdout(sys.stderr):
    import sae_bench.evals.absorption.common as common
    import sae_bench.evals.absorption.feature_absorption as feature_absorption
    import sae_bench.evals.absorption.main as absorption
    import sae_bench.evals.absorption.vocab as vocab
    from sae_bench.evals.absorption.eval_config import AbsorptionEvalConfig

    model, sae = load_model(), load_sae()
    vocabulary = words(model.tokenizer, vocab.get_alpha_tokens)
    common.get_alpha_tokens = feature_absorption.get_alpha_tokens = lambda *_, **__: list(vocabulary)
    absorption.HookedTransformer = types.SimpleNamespace(from_pretrained_no_processing=lambda *_, **__: model)
    config = AbsorptionEvalConfig(
        model_name="SmolLM2-135M-Instruct",
        llm_dtype="float32",
        min_feats_for_eval=1,
        precalc_k_sparse_probe_sae_acts=True,
    )
    out = tempfile.mkdtemp()
    os.chdir(out)
    # Probes of an earlier run would be found here and not be trained.
    shutil.rmtree(common.RESULTS_DIR, ignore_errors=True)
    random.seed(42)
    torch.manual_seed(42)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, started = usage.ru_utime + usage.ru_stime, time.perf_counter()
    (result,) = absorption.run_eval(config, [("sae", sae)], "cpu", out, force_rerun=True).values()
    ms = 1000 * (time.perf_counter() - started)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    shutil.rmtree(common.RESULTS_DIR, ignore_errors=True)
    shutil.rmtree(out)

print(
    json.dumps(
        {
            "ms": ms,
            "cpuMs": 1000 * (usage.ru_utime + usage.ru_stime - cpu),
            "words": len(vocabulary),
            "fraction": result["eval_result_metrics"]["mean"]["mean_absorption_fraction_score"],
            "peakMB": usage.ru_maxrss / 1024,
            "versions": {it: version(it) for it in ("sae-bench", "torch", "transformer-lens", "sae-lens", "scikit-learn")},
        }
    )
)
