"""A checkpoint whose activations are balanced for int8, and whose function is the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .calibrate import Forward, random_ids
from .checkpoint import Checkpoint


class Smoothed:
    """Another checkpoint with each activation channel divided by a constant.

    What divides an activation lies in the weights before it (a norm's, or up_proj's rows), and
    what multiplies it back in the columns of those that read it. o_proj's input is left as it
    is: value heads are shared among query heads, and balancing them gains nothing.
    """

    def __init__(self, checkpoint: Checkpoint):
        self.inner, self.config = checkpoint, checkpoint.config
        self._rows: dict[str, np.ndarray] = {}  # divides the rows of a tensor
        self._columns: dict[str, np.ndarray] = {}  # multiplies its columns
        forward = Forward(checkpoint, random_ids(checkpoint))
        for i in range(self.config.num_layers):
            self._balance(f"model.layers.{i}", forward.layer(i))

    def _balance(self, at: str, by: dict[str, np.ndarray]) -> None:
        self._rows[f"{at}.input_layernorm.weight"] = by["attn"]
        self._rows[f"{at}.post_attention_layernorm.weight"] = by["mlp"]
        self._rows |= dict.fromkeys((f"{at}.mlp.up_proj.weight", f"{at}.mlp.up_proj.bias"),
                                    by["down"])
        for part in "qkv":
            self._columns[f"{at}.self_attn.{part}_proj.weight"] = by["attn"]
        for part, scale in (("gate", by["mlp"]), ("up", by["mlp"]), ("down", by["down"])):
            self._columns[f"{at}.mlp.{part}_proj.weight"] = scale

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.inner.shapes()

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        row = 0
        for block in self.inner.blocks(name):
            if name in self._rows:
                scale = self._rows[name][row:row + len(block)]
                block = block / scale.reshape(-1, *[1] * (block.ndim - 1))
            if name in self._columns:
                block = block * self._columns[name]
            row += len(block)
            yield block
