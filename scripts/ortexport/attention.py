"""The two attention forms.

GroupedAttention is one GroupQueryAttention node a layer: RoPE, causal mask and cache inside,
row lengths taken from the attention mask. ExplicitAttention uses plain ai.onnx operators only,
with position_ids as an input and the mask built in the graph, as optimum exports it.

Both take q [batch, seq, heads * head_dim] and k, v [batch, seq, kv_heads * head_dim] and
return [batch, seq, heads * head_dim]; GroupedAttention takes all three side by side as q as well,
with k and v empty. Both expect pads on the right. A sliding window of w
lets a token see w positions, itself included, as transformers does; GroupQueryAttention agrees
in the ONNX Runtime that ortscore uses (1.31), while 1.23 lets it see one more.
"""

from __future__ import annotations

import numpy as np

from . import rope
from .config import ModelConfig
from .errors import ExportError
from .graph import MICROSOFT, Graph

MASKED = float(np.finfo(np.float32).min)


def declare_cache(g: Graph, config: ModelConfig) -> None:
    """Declares past_key_values.N.* and present.N.*, [batch, kv_heads, length, head_dim]."""
    for i in range(config.num_layers):
        for part in ("key", "value"):
            for declare, name, length in (
                    (g.input, f"past_key_values.{i}.{part}", "past_sequence_length"),
                    (g.output, f"present.{i}.{part}", "total_sequence_length")):
                declare(name, g.dtype,
                        ["batch_size", config.num_kv_heads, length, config.head_dim])


class GroupedAttention:
    """com.microsoft GroupQueryAttention with fused RoPE; the cache is always there."""

    def __init__(self, g: Graph, config: ModelConfig):
        # ONNX Runtime turns RoPE pairs eight at a time and refuses other head sizes.
        if config.head_dim % 16:
            raise ExportError(
                f"a head of {config.head_dim} is not a multiple of 16, which "
                "GroupQueryAttention wants", "pass --attention explicit")
        self.g, self.config = g, config
        at = "/model/attn_mask"
        # seqlens_k is each row's last valid position, int32 [batch].
        counts = g.op("ReduceSum", ["attention_mask", g.const([1])], at, keepdims=0)
        self.seqlens = g.cast(g.op("Sub", [counts, g.const([1])], at), "int32", at)
        total = g.op("Squeeze", [g.dim("attention_mask", 1, at), g.const([0])], at)
        self.total = g.cast(total, "int32", at)
        cos, sin = rope.tables(config)
        self.cos = g.weight("cos_cache", cos.shape, [cos])
        self.sin = g.weight("sin_cache", sin.shape, [sin])

    def __call__(self, layer: int, q: str, k: str, v: str) -> str:
        c, at = self.config, f"/model/layers.{layer}/attn"
        inputs = [q, k, v, f"past_key_values.{layer}.key", f"past_key_values.{layer}.value",
                  self.seqlens, self.total, self.cos, self.sin]
        outs = [None, f"present.{layer}.key", f"present.{layer}.value"]
        window = {"local_window_size": c.windows[layer]} if c.windows[layer] else {}
        return self.g.multi("GroupQueryAttention", inputs, at, outs, MICROSOFT,
                            num_heads=c.num_heads, kv_num_heads=c.num_kv_heads,
                            scale=c.head_dim ** -0.5, do_rotary=1, rotary_interleaved=0,
                            **window)[0]


class ExplicitAttention:
    """Plain operators; with `use_cache` false there is no past and positions count from 0.

    The causal rule compares slots, because a new key always takes the last slot of the cache
    however short its row is. The window compares positions, which skip the pads.
    """

    def __init__(self, g: Graph, config: ModelConfig, use_cache: bool = True):
        self.g, self.config, self.use_cache = g, config, use_cache
        at = "/model/rope"
        self.seq = g.dim("input_ids", 1, at)
        self.total = g.dim("attention_mask", 1, at)
        self.key_slots = self._range(self.total, at)
        self.positions = "position_ids" if use_cache else self._unsqueeze(self.key_slots, [0], at)
        cos, sin = rope.tables(config)
        # [batch, 1, seq, head_dim / 2]: the same turn for every head.
        self.cos, self.sin = (
            self._unsqueeze(g.op("Gather", [g.weight(name, table.shape, [table]), self.positions],
                                 at, axis=0), [1], at)
            for name, table in (("cos_cache", cos), ("sin_cache", sin)))
        self.masks = {window: self._mask(window) for window in sorted(set(config.windows))}

    def _range(self, length: str, at: str) -> str:
        """0, 1, ... length - 1, int64 [length]."""
        g = self.g
        stop = g.op("Squeeze", [length, g.const([0])], at)
        return g.op("Range", [g.const(0), stop, g.const(1)], at)

    def _unsqueeze(self, value: str, axes: list[int], at: str) -> str:
        return self.g.op("Unsqueeze", [value, self.g.const(axes)], at)

    def _mask(self, window: int) -> str:
        """What is added to the scores, float32 [batch, 1, seq, total]: 0 or the lowest float.

        Finite, because -inf over a whole row makes softmax NaN.
        """
        g, at = self.g, "/model/attn_mask"
        past = g.op("Sub", [self.total, self.seq], at)
        query_slots = g.op("Add", [self._range(self.seq, at), past], at)
        seen = g.op("LessOrEqual", [self.key_slots, self._unsqueeze(query_slots, [1], at)], at)
        real = self._unsqueeze(g.op("Cast", ["attention_mask"], at, to=9), [1, 2], at)
        seen = g.op("And", [real, seen], at)
        if window:
            key_pos = g.op("Sub", [g.op("CumSum", ["attention_mask", g.const(1)], at),
                                   g.const([1])], at)
            limit = g.op("Sub", [self.positions, g.const([window])], at)
            near = g.op("Greater", [self._unsqueeze(key_pos, [1, 2], at),
                                    self._unsqueeze(limit, [1, 3], at)], at)
            seen = g.op("And", [seen, near], at)
        return g.op("Where", [seen, g.const(0.0, "fp32"), g.const(MASKED, "fp32")], at)

    def __call__(self, layer: int, q: str, k: str, v: str) -> str:
        g, c, at = self.g, self.config, f"/model/layers.{layer}/attn"
        q = self._rotate(self._split_heads(q, c.num_heads, at), at)
        k = self._rotate(self._split_heads(k, c.num_kv_heads, at), at)
        v = self._split_heads(v, c.num_kv_heads, at)
        if self.use_cache:
            k, v = (g.op("Concat", [f"past_key_values.{layer}.{part}", value], at,
                         f"present.{layer}.{part}", axis=2)
                    for part, value in (("key", k), ("value", v)))
        k, v = self._repeat(k, at), self._repeat(v, at)
        if g.dtype != "fp32":
            # Scores of fp16 models leave its range; the scale is no help, it comes after.
            q, k, v = (g.cast(value, "fp32", at) for value in (q, k, v))
        scores = g.op("MatMul", [q, g.op("Transpose", [k], at, perm=[0, 1, 3, 2])], at)
        scores = g.op("Mul", [scores, g.const(c.head_dim ** -0.5, "fp32")], at)
        scores = g.op("Add", [scores, self.masks[c.windows[layer]]], at)
        mixed = g.op("MatMul", [g.op("Softmax", [scores], at, axis=-1), v], at)
        if g.dtype != "fp32":
            mixed = g.cast(mixed, g.dtype, at)
        mixed = g.op("Transpose", [mixed], at, perm=[0, 2, 1, 3])
        return g.reshape(mixed, [0, 0, c.num_heads * c.head_dim], at)

    def _split_heads(self, value: str, heads: int, at: str) -> str:
        """[batch, seq, heads * head_dim] to [batch, heads, seq, head_dim]."""
        value = self.g.reshape(value, [0, 0, heads, self.config.head_dim], at)
        return self.g.op("Transpose", [value], at, perm=[0, 2, 1, 3])

    def _rotate(self, value: str, at: str) -> str:
        """RoPE on [batch, heads, seq, head_dim]: the pairs are (i, i + head_dim / 2)."""
        g, half = self.g, self.config.head_dim // 2
        first, second = g.multi("Split", [value, g.const([half, half])], at, [None, None], axis=-1)
        turned = [
            g.op("Sub", [g.op("Mul", [first, self.cos], at), g.op("Mul", [second, self.sin], at)],
                 at),
            g.op("Add", [g.op("Mul", [second, self.cos], at), g.op("Mul", [first, self.sin], at)],
                 at)]
        return g.op("Concat", turned, at, axis=-1)

    def _repeat(self, value: str, at: str) -> str:
        """Repeats each kv head for its group: [batch, kv, total, d] to [batch, heads, total, d]."""
        g, c = self.g, self.config
        group = c.num_heads // c.num_kv_heads
        if group == 1:
            return value
        value = self._unsqueeze(value, [2], at)
        value = g.op("Expand", [value, g.const([1, 1, group, 1, 1])], at)
        shape = g.op("Concat", [g.dim("input_ids", 0, at), g.const([c.num_heads]), self.total,
                                g.const([c.head_dim])], at, axis=0)
        return g.op("Reshape", [value, shape], at)
