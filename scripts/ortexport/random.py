"""A checkpoint of random weights in the shape of a real model: its speed without its 13 GB.

Nothing that it computes means anything; only how long it takes does.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .config import config_from_hf
from .decoder import expected_shapes
from .errors import ExportError

_LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": 2,
}
_QWEN3: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "tie_word_embeddings": True,
    "bos_token_id": 1, "eos_token_id": 2,
}
SHAPES: dict[str, dict[str, Any]] = {
    "llama-7b": _LLAMA | {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "head_dim": 128, "max_position_embeddings": 4096},
    "llama-tiny": _LLAMA | {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 176,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
        "head_dim": 16, "max_position_embeddings": 2048},
    "qwen3-0.6b": _QWEN3 | {
        "vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 40960},
    "qwen3-tiny": _QWEN3 | {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 176,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 32, "max_position_embeddings": 2048},
}

# As models of this family are initialised: with it, fp16 activations stay in range.
SPREAD = 0.02

# Drawing 6.7 billion numbers takes minutes; all tensors are cut out of one pool instead. Its
# length is odd, so that no two rows of a matrix begin at the same place.
POOL = (1 << 24) + 43
BLOCK = 4 << 20


class RandomCheckpoint:
    """Normal weights that follow from the seed; norms are 1."""

    def __init__(self, shape: str, seed: int):
        if shape not in SHAPES:
            raise ExportError(f"--random: want {' or '.join(SHAPES)}, got {shape!r}")
        self.config = config_from_hf(SHAPES[shape])
        self._shapes = expected_shapes(self.config)
        numbers = np.random.default_rng(seed).standard_normal(POOL, np.float32)
        numbers *= SPREAD
        # Twice the beginning, so that a block never has to go round.
        self._pool = np.concatenate([numbers, numbers[:BLOCK + max(s[-1] for s in
                                                                  self._shapes.values())]])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self._shapes

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        shape = self._shapes[name]
        if len(shape) == 1:
            yield np.ones(shape, np.float32)
            return
        rows, columns = shape
        step = max(1, BLOCK // columns)
        at = zlib.crc32(name.encode()) % POOL
        for first in range(0, rows, step):
            count = min(step, rows - first)
            start = (at + first * columns) % POOL
            yield self._pool[start:start + count * columns].reshape(count, columns)
