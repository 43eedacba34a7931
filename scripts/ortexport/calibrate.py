"""How large activations are: a forward of the network in numpy, over tokens drawn at random.

Int8 wants to know which channels of an activation are large. Random tokens tell it as well as a
text does, need no tokenizer and favour no task. The forward is that of decoder.py, without a
cache, one tensor in memory at a time.
"""

from __future__ import annotations

import numpy as np

from . import rope
from .checkpoint import Checkpoint, read
from .decoder import EMBED

ROWS, TOKENS, SEED = 8, 96, 0

# Divisors are powers of 2^(1/4): near enough to the best, and not at the mercy of a forward's
# last bits. None is further than 2^6 from the median of all: a channel that chance left out of
# the calibration would drown the others where it does appear.
STEPS, FURTHEST = 4, 6


def random_ids(checkpoint: Checkpoint) -> np.ndarray:
    """Token ids [ROWS, TOKENS]; RandomState, because numpy promises its numbers for good."""
    c = checkpoint.config
    tokens = min(TOKENS, c.context)
    return np.random.RandomState(SEED).randint(0, c.vocab_size, (ROWS, tokens))


def balance(values: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """What to divide each channel of an activation by, float32 [channels].

    `values` are the activation's, [..., channels], and `squares` the sums of the squares of the
    weights that each channel is multiplied by. Dividing by sqrt(rms / norm) makes the product of
    both rounding errors the least where both are spread evenly over the channels, as they are
    after a rotation.
    """
    flat = values.reshape(-1, values.shape[-1])
    rms = np.sqrt(np.einsum("ti,ti->i", flat, flat) / len(flat), dtype=np.float64)
    norm = np.sqrt(squares)
    known = (rms > 0) & (norm > 0) & np.isfinite(rms) & np.isfinite(norm)
    exponent = np.zeros(len(rms))
    np.log2(rms / np.where(known, norm, 1), out=exponent, where=known)
    exponent = np.round(exponent / 2 * STEPS) / STEPS
    if known.any():
        middle = np.median(exponent[known])
        exponent = np.where(known, np.clip(exponent, middle - FURTHEST, middle + FURTHEST), middle)
    return np.exp2(exponent).astype(np.float32)


def silu(values: np.ndarray) -> np.ndarray:
    """values / (1 + exp(-values)), in the array itself: it is the largest of a forward."""
    with np.errstate(over="ignore"):
        below = np.exp(-values)
    below += 1
    values /= below
    return values


class Forward:
    """The network over `ids` [rows, tokens]; `hidden` [rows, tokens, H] is what layers add to."""

    def __init__(self, checkpoint: Checkpoint, ids: np.ndarray):
        self.checkpoint, self.config, self.ids = checkpoint, checkpoint.config, ids
        self.hidden = self._embed()
        # [tokens, 1, head_dim / 2]: the same turn for every head.
        self._cos, self._sin = (
            table[:ids.shape[1], None] for table in rope.tables(self.config))

    def layer(self, i: int) -> dict[str, np.ndarray]:
        """Adds layer i; returns the balance of its activations by their place.

        "attn" is what q, k and v read, "mlp" what gate and up read, "down" what down reads.
        """
        at, found = f"model.layers.{i}", {}
        normed = self.norm(self.hidden, f"{at}.input_layernorm.weight")
        (q, k, v), squares = self._linears(normed, [f"{at}.self_attn.{p}_proj" for p in "qkv"])
        found["attn"] = balance(normed, squares)
        mixed = self._attend(i, q, k, v)
        (update,), _ = self._linears(mixed, [f"{at}.self_attn.o_proj"])
        self.hidden = self.hidden + update
        normed = self.norm(self.hidden, f"{at}.post_attention_layernorm.weight")
        (gate, up), squares = self._linears(normed, [f"{at}.mlp.{p}_proj" for p in ("gate", "up")])
        found["mlp"] = balance(normed, squares)
        product = silu(gate)
        product *= up
        (update,), squares = self._linears(product, [f"{at}.mlp.down_proj"])
        found["down"] = balance(product, squares)
        self.hidden = self.hidden + update
        return found

    def norm(self, values: np.ndarray, name: str) -> np.ndarray:
        """RMSNorm over the last axis."""
        mean = np.square(values).mean(-1, keepdims=True)
        return values / np.sqrt(mean + self.config.rms_norm_eps) * read(self.checkpoint, name)

    def _embed(self) -> np.ndarray:
        out = np.empty((*self.ids.shape, self.config.hidden_size), np.float32)
        first = 0
        for block in self.checkpoint.blocks(EMBED):
            here = (self.ids >= first) & (self.ids < first + len(block))
            out[here] = block[self.ids[here] - first]
            first += len(block)
        return out

    def _linears(self, values: np.ndarray,
                 names: list[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Several linear layers of one input, and the sums of squares of its channels' weights."""
        outs, squares = [], np.zeros(values.shape[-1])
        have = self.checkpoint.shapes()
        flat = values.reshape(-1, values.shape[-1])
        for name in names:
            weight = read(self.checkpoint, name + ".weight")
            squares += np.einsum("oi,oi->i", weight, weight)
            out = (flat @ weight.T).reshape(*values.shape[:-1], -1)
            if name + ".bias" in have:
                out += read(self.checkpoint, name + ".bias")
            outs.append(out)
        return outs, squares

    def _attend(self, layer: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        c, (rows, tokens) = self.config, self.ids.shape
        q, k, v = (x.reshape(rows, tokens, -1, c.head_dim) for x in (q, k, v))
        if c.qk_norm:
            at = f"model.layers.{layer}.self_attn"
            q, k = self.norm(q, f"{at}.q_norm.weight"), self.norm(k, f"{at}.k_norm.weight")
        group = c.num_heads // c.num_kv_heads
        q, k = self._rotate(q), self._rotate(k)
        k, v = (np.repeat(x, group, axis=2).transpose(0, 2, 1, 3) for x in (k, v))
        scores = q.transpose(0, 2, 1, 3) @ k.swapaxes(2, 3) * c.head_dim ** -0.5
        back = np.arange(tokens)[:, None] - np.arange(tokens)
        seen = (back >= 0) & (back < (c.windows[layer] or tokens))
        scores = np.where(seen, scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = scores / scores.sum(-1, keepdims=True) @ v
        return mixed.transpose(0, 2, 1, 3).reshape(rows, tokens, -1).astype(np.float32)

    def _rotate(self, values: np.ndarray) -> np.ndarray:
        """RoPE on [rows, tokens, heads, head_dim]: the pairs are (i, i + head_dim / 2)."""
        first, second = np.split(values, 2, axis=-1)
        return np.concatenate([first * self._cos - second * self._sin,
                               second * self._cos + first * self._sin], axis=-1)
