"""Exports against transformers, for every family; skipped where torch is missing.

    pip install torch transformers accelerate
    python -m pytest scripts/tests/test_parity_torch.py -s

With ORTSCORE_PARITY_GGUF=FILE the export of a real GGUF file is compared too.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from helpers import LLAMA3, Model, right_padded
from ortexport.export import Options, export

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHAPE = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
         "rms_norm_eps": 1e-5, "initializer_range": 0.2, "pad_token_id": 0}
THETA = {"rope_type": "default", "rope_theta": 30000.0}
CASES = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "llama-mha": ("Llama", {"num_key_value_heads": 4}),
    "llama-biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-head-dim": ("Llama", {"head_dim": 32}),
    "llama3-scaling": ("Llama", {"rope_parameters": LLAMA3 | {"rope_theta": 30000.0}}),
    "linear-scaling": ("Llama", {"rope_parameters": {
        "rope_type": "linear", "factor": 4.0, "rope_theta": 30000.0}}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral-window": ("Mistral", {"sliding_window": 7}),
    "qwen2": ("Qwen2", {}),
    "qwen2-window": ("Qwen2", {"use_sliding_window": True, "sliding_window": 7,
                               "max_window_layers": 1}),
    "qwen2-tied": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "qwen3-tied": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3-biases": ("Qwen3", {"head_dim": 16, "attention_bias": True}),
}
# fp16 on the CPU, with logits of some 10: GroupQueryAttention accumulates in fp16 there.
TOLERANCE = {"fp32": 2e-4, "fp16": 0.15}


def random_model(kind: str, fields: dict):
    """A model whose norms and biases matter too; transformers starts them at 1 and 0."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        **SHAPE | {"rope_parameters": THETA} | fields, attn_implementation="eager")
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() == 1:
                value.add_(0.3 * torch.randn_like(value))
            assert value.abs().max() > 0, name
    return model


def save(model, folder: Path) -> Path:
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


@torch.no_grad()
def torch_logits(model, row: list[int]) -> np.ndarray:
    return model(torch.tensor([row])).logits[0].float().numpy()


def largest_difference(model, exported: Model, rows: list[list[int]], steps: int) -> float:
    """Over a right-padded batch with no past, then `steps` single steps with it."""
    rng = np.random.default_rng(1)
    new = rng.integers(3, 250, (len(rows), steps))
    want = [torch_logits(model, [*row, *map(int, new[i])]) for i, row in enumerate(rows)]
    ids, mask = right_padded(rows)
    got, past = exported.run(ids, mask)
    worst = max(np.abs(got[i, :len(row)] - want[i][:len(row)]).max()
                for i, row in enumerate(rows))
    for step in range(steps):
        mask = np.hstack([mask, np.ones((len(rows), 1), np.int64)])
        got, past = exported.run(new[:, step:step + 1], mask, past)
        worst = max(worst, *(np.abs(got[i, 0] - want[i][len(row) + step]).max()
                             for i, row in enumerate(rows)))
    return float(worst)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("attention", ["gqa", "explicit"])
@pytest.mark.parametrize("case", CASES)
def test_family(tmp_path, case, attention, dtype):
    model = random_model(*CASES[case])
    export(save(model, tmp_path / "hf"), tmp_path / "out",
           Options(dtype=dtype, attention=attention))
    rng = np.random.default_rng(0)
    rows = [rng.integers(3, 250, length).tolist() for length in (40, 1, 23, 9)]
    worst = largest_difference(model, Model(tmp_path / "out"), rows, steps=3)
    print(f"{case} {attention} {dtype}: largest difference {worst:.2g}")
    assert worst < TOLERANCE[dtype]


@pytest.mark.parametrize("attention", ["gqa", "explicit"])
def test_bf16_checkpoint_in_shards(tmp_path, attention):
    model = random_model(*CASES["llama"]).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "hf", max_shard_size="100KB")
    (tmp_path / "hf/tokenizer.json").write_text("{}")
    assert (tmp_path / "hf/model.safetensors.index.json").exists()
    export(tmp_path / "hf", tmp_path / "out", Options(attention=attention))
    # Read back, not model.float(): the cast to bf16 has rounded the RoPE frequencies as well.
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf", dtype=torch.float32).eval()
    worst = largest_difference(model, Model(tmp_path / "out"), [[5, 9, 77, 120]], steps=2)
    assert worst < 2e-4


def test_config_is_read_by_transformers_with_the_right_theta(tmp_path):
    export(save(random_model("Llama", {}), tmp_path / "hf"), tmp_path / "out", Options())
    config = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    assert config.rope_parameters["rope_theta"] == 30000.0
    assert json.loads((tmp_path / "out/config.json").read_text())["rope_theta"] == 30000.0


GGUF = os.environ.get("ORTSCORE_PARITY_GGUF")


@pytest.fixture(scope="module")
def gguf_model():
    path = Path(GGUF)
    return transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32).eval()


@pytest.mark.skipif(not GGUF, reason="ORTSCORE_PARITY_GGUF names no file")
@pytest.mark.parametrize(("attention", "dtype", "limit"), [
    ("gqa", "fp32", 2e-4), ("explicit", "fp32", 2e-4), ("gqa", "fp16", 1.0),
    ("explicit", "fp16", 0.2)])
def test_real_gguf(tmp_path, gguf_model, attention, dtype, limit):
    export(Path(GGUF), tmp_path / "out", Options(dtype=dtype, attention=attention))
    rng = np.random.default_rng(0)
    rows = [rng.integers(100, 40_000, length).tolist() for length in (120, 31)]
    worst = largest_difference(gguf_model, Model(tmp_path / "out"), rows, steps=2)
    print(f"{Path(GGUF).name} {attention} {dtype}: largest difference {worst:.2g}")
    assert worst < limit
