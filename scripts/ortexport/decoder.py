"""The whole network, in the order of the computation.

Activations are [batch, seq, hidden]. Linear weights are stored transposed, [in, out], so that
MatMul takes them as they are. Names of inputs, outputs and nodes follow onnxruntime-genai.
"""

from __future__ import annotations

import numpy as np

from .attention import ExplicitAttention, GroupedAttention, declare_cache
from .checkpoint import Checkpoint, read
from .config import ModelConfig
from .errors import CheckpointError, UnsupportedError
from .graph import MICROSOFT, Graph
from .int8 import Int8Linear
from .writer import transposed_blocks

EMBED, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


def expected_shapes(c: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor the network reads, by name, with the shape it must have."""
    q_size, kv_size = c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim
    linears = {
        "self_attn.q_proj": (q_size, c.hidden_size, c.qkv_bias),
        "self_attn.k_proj": (kv_size, c.hidden_size, c.qkv_bias),
        "self_attn.v_proj": (kv_size, c.hidden_size, c.qkv_bias),
        "self_attn.o_proj": (c.hidden_size, q_size, c.o_bias),
        "mlp.gate_proj": (c.intermediate_size, c.hidden_size, c.mlp_bias),
        "mlp.up_proj": (c.intermediate_size, c.hidden_size, c.mlp_bias),
        "mlp.down_proj": (c.hidden_size, c.intermediate_size, c.mlp_bias),
    }
    shapes: dict[str, tuple[int, ...]] = {
        EMBED: (c.vocab_size, c.hidden_size), NORM: (c.hidden_size,)}
    if not c.tied:
        shapes[HEAD] = (c.vocab_size, c.hidden_size)
    for i in range(c.num_layers):
        at = f"model.layers.{i}."
        shapes[at + "input_layernorm.weight"] = (c.hidden_size,)
        shapes[at + "post_attention_layernorm.weight"] = (c.hidden_size,)
        if c.qk_norm:
            shapes[at + "self_attn.q_norm.weight"] = (c.head_dim,)
            shapes[at + "self_attn.k_norm.weight"] = (c.head_dim,)
        for name, (rows, columns, bias) in linears.items():
            shapes[f"{at}{name}.weight"] = (rows, columns)
            if bias:
                shapes[f"{at}{name}.bias"] = (rows,)
    return shapes


def check_tensors(checkpoint: Checkpoint) -> None:
    """Raises unless the checkpoint holds exactly the tensors the network reads.

    One too many is refused as well: it belongs to a computation that the graph would leave out.
    """
    have, want = checkpoint.shapes(), expected_shapes(checkpoint.config)
    for name, shape in want.items():
        if name not in have:
            raise CheckpointError(f"tensor {name} is missing")
        if have[name] != shape:
            raise CheckpointError(f"tensor {name} is {list(have[name])}, want {list(shape)}")
    # A tied checkpoint may still carry its lm_head, a copy of the embedding.
    extra = set(have) - set(want) - ({HEAD} if checkpoint.config.tied else set())
    if extra:
        raise UnsupportedError(f"tensor {min(extra)} is not part of a known architecture")


class Decoder:
    """Builds the graph of one checkpoint; `attention` is "gqa" or "explicit".

    With `int8` the linear layers of all blocks are rounded; embedding and lm_head are not.
    `pack` says which layers are one multiply: "none"; "qkv" for query, key and value where
    GroupQueryAttention takes them as one tensor; "all" for these everywhere, and for gate and up,
    with a Split after where one is needed.
    """

    def __init__(self, g: Graph, checkpoint: Checkpoint, attention: str, use_cache: bool = True,
                 int8: bool = False, pack: str = "none"):
        self.g, self.checkpoint, self.config = g, checkpoint, checkpoint.config
        self.fused, self.pack = attention == "gqa", pack
        self.int8 = Int8Linear(g) if int8 else None
        g.input("input_ids", "int64", ["batch_size", "sequence_length"])
        g.input("attention_mask", "int64", ["batch_size", "total_sequence_length"])
        if not self.fused and use_cache:
            g.input("position_ids", "int64", ["batch_size", "sequence_length"])
        g.output("logits", g.dtype, ["batch_size", "sequence_length", self.config.vocab_size])
        if use_cache:
            declare_cache(g, self.config)
        if self.fused:
            self.attend = GroupedAttention(g, self.config)
        else:
            self.attend = ExplicitAttention(g, self.config, use_cache)

    def build(self) -> None:
        """Adds every node, from input_ids to logits, streaming the weights on the way."""
        g, c = self.g, self.config
        embed = g.weight(EMBED, (c.vocab_size, c.hidden_size), self.checkpoint.blocks(EMBED))
        hidden = g.op("Gather", [embed, "input_ids"], "/model/embed_tokens", axis=0)
        at = "/model/layers.0/input_layernorm"
        normed = self._norm(hidden, self._vector("model.layers.0.input_layernorm.weight"), at)
        for i in range(c.num_layers):
            place = f"model.layers.{i}.post_attention_layernorm"
            attended = self._attention(i, normed)
            hidden, normed = self._add_norm(hidden, attended, place)
            last = i + 1 == c.num_layers
            place = "model.norm" if last else f"model.layers.{i + 1}.input_layernorm"
            hidden, normed = self._add_norm(hidden, self._mlp(i, normed), place)
        self._lm_head(normed, embed)

    def _lm_head(self, hidden: str, embed: str) -> None:
        g, c = self.g, self.config
        if c.tied:
            head = g.op("Transpose", [embed], "/lm_head", perm=[1, 0])
        else:
            head = self._matrix([read(self.checkpoint, HEAD)], "lm_head")
        g.op("MatMul", [hidden, head], "/lm_head", "logits")

    def _attention(self, layer: int, hidden: str) -> str:
        c, name, at = self.config, f"model.layers.{layer}.self_attn", f"/model/layers.{layer}/attn"
        parts = [f"{name}.{p}_proj" for p in "qkv"]
        if self.fused and not c.qk_norm and self.pack != "none":
            q, k, v = self._linear(hidden, parts, f"{at}/qkv_proj", c.qkv_bias), "", ""
        else:
            q, k, v = self._linears(hidden, parts, at, "qkv_proj", c.qkv_bias)
        if c.qk_norm:
            q = self._head_norm(q, c.num_heads, f"{name}.q_norm", f"{at}/q_norm")
            k = self._head_norm(k, c.num_kv_heads, f"{name}.k_norm", f"{at}/k_norm")
        return self._linear(self.attend(layer, q, k, v), [f"{name}.o_proj"], f"{at}/o_proj",
                            c.o_bias)

    def _head_norm(self, value: str, heads: int, name: str, at: str) -> str:
        """RMSNorm over each head of [batch, seq, heads * head_dim], as Qwen3 has before RoPE."""
        size = self.config.head_dim
        value = self.g.reshape(value, [0, 0, heads, size], at)
        value = self._norm(value, self._vector(name + ".weight"), at)
        return self.g.reshape(value, [0, 0, heads * size], at)

    def _mlp(self, layer: int, hidden: str) -> str:
        g, name, at = self.g, f"model.layers.{layer}.mlp", f"/model/layers.{layer}/mlp"
        bias = self.config.mlp_bias
        gate, up = self._linears(hidden, [f"{name}.gate_proj", f"{name}.up_proj"], at,
                                 "gate_up_proj", bias)
        silu = g.op("Mul", [gate, g.op("Sigmoid", [gate], f"{at}/act_fn")], f"{at}/act_fn")
        return self._linear(g.op("Mul", [silu, up], at), [f"{name}.down_proj"],
                            f"{at}/down_proj", bias)

    def _linears(self, value: str, names: list[str], at: str, packed: str,
                 bias: bool) -> list[str]:
        """Linear layers that read one value: each by itself, or one multiply and a Split."""
        if self.pack != "all":
            return [self._linear(value, [name], f"{at}/{name.rpartition('.')[2]}", bias)
                    for name in names]
        shapes = self.checkpoint.shapes()
        sizes = self.g.const([shapes[name + ".weight"][0] for name in names])
        out = self._linear(value, names, f"{at}/{packed}", bias)
        return self.g.multi("Split", [out, sizes], at, [None] * len(names), axis=-1)

    def _linear(self, value: str, names: list[str], at: str, bias: bool) -> str:
        """A linear layer; several are one whose outputs lie side by side."""
        label = at.strip("/").replace("/", ".")
        matrices = [read(self.checkpoint, name + ".weight") for name in names]
        if self.int8:
            out = self.int8(value, matrices, label, at)
        else:
            out = self.g.op("MatMul", [value, self._matrix(matrices, label)], at)
        if not bias:
            return out
        vectors = [read(self.checkpoint, name + ".bias") for name in names]
        label = f"{names[0]}.bias" if len(names) == 1 else f"{label}.Add.bias"
        size = sum(map(len, vectors))
        return self.g.op("Add", [out, self.g.weight(label, (size,), vectors)], at)

    def _matrix(self, matrices: list[np.ndarray], label: str) -> str:
        """Weights [out, in] as one initializer [in, out]."""
        shape = (matrices[0].shape[1], sum(map(len, matrices)))
        return self.g.weight(f"{label}.MatMul.weight", shape, transposed_blocks(matrices))

    def _vector(self, name: str) -> str:
        vector = read(self.checkpoint, name)
        return self.g.weight(name, vector.shape, [vector])

    def _norm(self, value: str, weight: str, at: str) -> str:
        """RMSNorm over the last axis, computed in fp32 whatever the graph's type."""
        g, eps = self.g, self.config.rms_norm_eps
        if self.fused:
            return g.op("SimplifiedLayerNormalization", [value, weight], at, axis=-1,
                        epsilon=eps, stash_type=1)
        wide = value if g.dtype == "fp32" else g.cast(value, "fp32", at)
        mean = g.op("ReduceMean", [g.op("Pow", [wide, g.const(2.0, "fp32")], at), g.const([-1])],
                    at, keepdims=1)
        root = g.op("Sqrt", [g.op("Add", [mean, g.const(eps, "fp32")], at)], at)
        scaled = g.op("Div", [wide, root], at)
        if g.dtype != "fp32":
            scaled = g.cast(scaled, g.dtype, at)
        return g.op("Mul", [scaled, weight], at)

    def _add_norm(self, hidden: str, update: str, name: str) -> tuple[str, str]:
        """The residual sum and its RMSNorm, one fused node in the gqa form."""
        g, weight = self.g, self._vector(name + ".weight")
        at = "/" + name.replace(".", "/").replace("layers/", "layers.")
        if not self.fused:
            total = g.op("Add", [hidden, update], at)
            return total, self._norm(total, weight, at)
        normed, _, _, total = g.multi(
            "SkipSimplifiedLayerNormalization", [hidden, update, weight], at,
            [None, "", "", None], MICROSOFT, epsilon=self.config.rms_norm_eps)
        return total, normed
