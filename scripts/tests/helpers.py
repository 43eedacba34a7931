"""Small random checkpoints, and one way to run whatever was exported from them."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import numpy as np
import onnxruntime as ort
from safetensors.numpy import save_file

from ortexport.config import config_from_hf
from ortexport.decoder import expected_shapes

# ONNX Runtime 1.23, the last for Python 3.10, lets a window see one position more than it says;
# 1.31 does not. ortscore asks for 1.29 at least.
OLD_WINDOWS = tuple(map(int, ort.__version__.split(".")[:2])) < (1, 29)

ROOT = Path(__file__).resolve().parents[2]

BASE = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "max_position_embeddings": 128, "hidden_act": "silu",
    # Neither is the default, and this epsilon is large enough to show where it is lost.
    "rms_norm_eps": 1e-2, "rope_theta": 20000.0, "bos_token_id": 0, "eos_token_id": 1,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
FAMILIES = {
    "llama": {"model_type": "llama"},
    "llama-tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama-mha": {"model_type": "llama", "num_key_value_heads": 4},
    "llama-biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama3": {"model_type": "llama", "rope_scaling": LLAMA3},
    "llama-linear": {"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "llama-default-head": {"model_type": "llama", "head_dim": None, "num_attention_heads": 1,
                           "num_key_value_heads": 1},
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "mistral-window": {"model_type": "mistral", "sliding_window": 5},
    "qwen2": {"model_type": "qwen2"},
    "qwen2-tied": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2-window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 5,
                     "max_window_layers": 1},
    "qwen3": {"model_type": "qwen3"},
    "qwen3-tied": {"model_type": "qwen3", "tie_word_embeddings": True},
    "qwen3-biases": {"model_type": "qwen3", "attention_bias": True},
}


def random_tensors(config: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights of every tensor the network reads, scaled so that all parts matter.

    A tensor follows from its name and shape, so families differ in nothing but what they are
    about. RandomState, because numpy promises its numbers for good: goldens/families.json was
    computed from these weights.
    """
    tensors = {}
    for name, shape in expected_shapes(config_from_hf(config)).items():
        values = np.random.RandomState([seed, zlib.crc32(name.encode())]).standard_normal(shape)
        if len(shape) == 2:
            values *= 0.7 if "embed" in name else 1.5 / shape[1] ** 0.5
        else:
            values = 0.3 * values + (0 if name.endswith("bias") else 1)
        tensors[name] = values.astype(np.float32)
    return tensors


def magnitude(tensors: dict) -> float:
    """The sum over all weights' absolute values: other weights have another one."""
    return float(sum(np.abs(value).sum(dtype=np.float64) for value in tensors.values()))


def write_hf(folder: Path, family: str = "llama", tensors: dict | None = None, **fields) -> Path:
    """A Hugging Face folder with a random model and a stub of a tokenizer."""
    config = BASE | FAMILIES[family] | fields
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    save_file(tensors or random_tensors(config), folder / "model.safetensors")
    return folder


class Model:
    """An exported folder in ONNX Runtime, fed by whatever inputs it declares."""

    def __init__(self, folder: Path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        # Without it sums of int8 products overflow on x86 processors without VNNI.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = ort.InferenceSession(folder / "model.onnx", options)
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = [value.name for value in self.session.get_outputs()]

    def empty_past(self, batch: int) -> dict[str, np.ndarray]:
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        return {name: np.zeros((batch, value.shape[1], 0, value.shape[3]), types[value.type])
                for name, value in self.inputs.items() if name.startswith("past_key_values")}

    def run(self, ids, mask=None, past=None):
        """Returns logits as float32 and the present as the next call's past."""
        ids = np.asarray(ids, np.int64)
        mask = np.ones_like(ids) if mask is None else np.asarray(mask, np.int64)
        feed = {"input_ids": ids, "attention_mask": mask}
        feed |= self.empty_past(len(ids)) if past is None else past
        if "position_ids" in self.inputs:
            feed["position_ids"] = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1]:]
        out = dict(zip(self.outputs, self.session.run(None, feed), strict=True))
        present = {name.replace("present", "past_key_values"): value
                   for name, value in out.items() if name != "logits"}
        return out["logits"].astype(np.float32), present


def fuzz_cases(default: int) -> int:
    """How many mutations a fuzz-style test tries: FUZZ_CASES, or `default` where it is unset."""
    return int(os.environ.get("FUZZ_CASES") or default)


def right_padded(rows: list[list[int]], pad: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, [rows, longest]."""
    width = max(map(len, rows))
    ids = np.array([row + [pad] * (width - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask
