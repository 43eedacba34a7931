"""ModelConfig: everything the graph needs to know about a checkpoint.

Whatever is not understood is refused by name. A guess here would give a model that runs and
scores wrongly, which is worse than no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .errors import CheckpointError, UnsupportedError

MODEL_TYPES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}

# Fields of config.json that change the arithmetic, with the values under which they change
# nothing. Any other value belongs to a model this exporter does not know.
NEUTRAL_FIELDS: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "partial_rotary_factor": (None, 1, 1.0),
    "quantization_config": (None,),
    "num_local_experts": (None, 0),
    "num_experts": (None, 0),
    "logit_scale": (None, 1, 1.0),
    "final_logit_softcapping": (None,),
    "attn_logit_softcapping": (None,),
    "embedding_multiplier": (None, 1, 1.0),
    "residual_multiplier": (None, 1, 1.0),
    "logits_scaling": (None, 1, 1.0),
    "attention_multiplier": (None,),
    "no_rope_layers": (None,),
    # The checkpoint brings its own code, which may compute anything.
    "auto_map": (None, {}),
}

# Far above any real model, far below what makes an allocation from a hostile file dangerous.
MAX_DIMENSION = 1 << 24


@dataclass(frozen=True)
class RopeScaling:
    """A change to the inverse frequencies; `kind` is "linear" or "llama3"."""

    kind: str
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def __post_init__(self) -> None:
        # Written so that NaN, which JSON readers let through, fails as well.
        if not 0 < self.factor < math.inf or not self.original_context > 0:
            raise CheckpointError(f"config: {self.kind} rope scaling: factor {self.factor} over "
                                  f"{self.original_context} positions is out of range")
        if not 0 < self.low_freq_factor < self.high_freq_factor < math.inf:
            raise CheckpointError(f"config: rope scaling: {self.low_freq_factor} to "
                                  f"{self.high_freq_factor} is not a band of frequencies")

    def to_json(self) -> dict[str, Any]:
        """The rope_scaling entry of config.json."""
        entry: dict[str, Any] = {"rope_type": self.kind, "factor": self.factor}
        if self.kind == "llama3":
            entry["low_freq_factor"] = self.low_freq_factor
            entry["high_freq_factor"] = self.high_freq_factor
            entry["original_max_position_embeddings"] = self.original_context
        return entry


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a Llama-family decoder.

    `windows` holds one entry a layer: how many positions a token sees, itself included, or 0
    where it sees all of them. `context` is the length of the RoPE tables. `raw` is the
    checkpoint's own config.json, or empty for a GGUF file.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    context: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None = None
    tied: bool = False
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    windows: tuple[int, ...] = ()
    bos_id: int | None = None
    eos_id: int | list[int] | None = None
    pad_id: int | None = None
    raw: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_layers", "num_heads",
                 "num_kv_heads", "head_dim", "context")
        for name in sizes:
            if not 0 < getattr(self, name) <= MAX_DIMENSION:
                raise CheckpointError(f"config: {name}: {getattr(self, name)} is out of range")
        if self.num_heads % self.num_kv_heads:
            raise CheckpointError(
                f"config: {self.num_heads} heads do not divide into {self.num_kv_heads} kv heads")
        if self.head_dim % 2:
            raise CheckpointError(f"config: head_dim: {self.head_dim} is odd, RoPE needs pairs")
        if not 0 < self.rope_theta < math.inf or not 0 <= self.rms_norm_eps < math.inf:
            raise CheckpointError("config: rope_theta and rms_norm_eps want positive numbers")

    def to_json(self, dtype: str) -> dict[str, Any]:
        """config.json of the export: the checkpoint's own fields, overlaid with those used.

        rope_theta is written at the top level, where transformers 4 looks for it, and inside
        rope_parameters, where transformers 5 does: each falls back to 10,000 without a word
        when it finds none.
        """
        rope = {"rope_type": "default", "rope_theta": self.rope_theta}
        out = dict(self.raw)
        out.update({
            "architectures": [MODEL_TYPES[self.model_type]],
            "model_type": self.model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.context,
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": self.rope_scaling.to_json() if self.rope_scaling else None,
            "tie_word_embeddings": self.tied,
            "attention_bias": self.o_bias,
            "mlp_bias": self.mlp_bias,
            "bos_token_id": self.bos_id,
            "eos_token_id": self.eos_id,
            "pad_token_id": self.pad_id,
            "torch_dtype": "float16" if dtype == "fp16" else "float32",
        })
        out["rope_parameters"] = rope | (out["rope_scaling"] or {})
        out.pop("dtype", None)
        return out


def config_from_hf(raw: dict[str, Any]) -> ModelConfig:
    """Reads the config.json of transformers 4 or 5; raises UnsupportedError by name."""
    model_type = raw.get("model_type")
    if model_type not in MODEL_TYPES:
        raise UnsupportedError(
            f"config.json: model_type: {model_type!r} is not one of {', '.join(MODEL_TYPES)}")
    for name, neutral in NEUTRAL_FIELDS.items():
        if name in raw and raw[name] not in neutral:
            raise UnsupportedError(f"config.json: {name}: {raw[name]!r} is not supported")
    hidden, heads = _int(raw, "hidden_size"), _int(raw, "num_attention_heads")
    if heads <= 0:
        raise CheckpointError(f"config.json: num_attention_heads: {heads} is out of range")
    theta, scaling = _rope_from_hf(raw)
    layers = _int(raw, "num_hidden_layers")
    if not 0 < layers <= 10_000:
        raise CheckpointError(f"config.json: num_hidden_layers: {layers} is out of range")
    context = _int(raw, "max_position_embeddings")
    attention_bias = bool(raw.get("attention_bias"))
    return ModelConfig(
        model_type=model_type,
        vocab_size=_int(raw, "vocab_size"),
        hidden_size=hidden,
        intermediate_size=_int(raw, "intermediate_size"),
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=_int(raw, "num_key_value_heads", heads),
        head_dim=_int(raw, "head_dim", hidden // heads),
        context=context,
        rms_norm_eps=_float(raw, "rms_norm_eps", 1e-6),
        rope_theta=theta,
        rope_scaling=scaling,
        # Absent means tied for no family here: PretrainedConfig's default was True, but each
        # of the four sets False and writes the field whenever it differs.
        tied=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=model_type == "qwen2" or attention_bias,
        o_bias=model_type != "qwen2" and attention_bias,
        mlp_bias=bool(raw.get("mlp_bias")),
        qk_norm=model_type == "qwen3",
        windows=_windows_from_hf(raw, model_type, layers, context),
        bos_id=raw.get("bos_token_id"),
        eos_id=raw.get("eos_token_id"),
        pad_id=raw.get("pad_token_id"),
        raw=raw,
    )


def _rope_from_hf(raw: dict[str, Any]) -> tuple[float, RopeScaling | None]:
    """rope_theta and the scaling, from either generation's field names."""
    params = raw.get("rope_parameters") or {}
    scaling = raw.get("rope_scaling") or {}
    if not isinstance(params, dict) or not isinstance(scaling, dict):
        raise CheckpointError("config.json: rope_parameters and rope_scaling want an object")
    if any(isinstance(v, dict) for v in params.values()):
        raise UnsupportedError("config.json: rope_parameters: one RoPE per layer type")
    theta = params.get("rope_theta", raw.get("rope_theta"))
    if "rope_theta" in params and raw.get("rope_theta", theta) != theta:
        raise CheckpointError(
            f"config.json: rope_theta is {raw['rope_theta']} but rope_parameters say {theta}")
    merged = {"rope_theta": 10_000.0 if theta is None else theta} | scaling | params
    kind = merged.get("rope_type", merged.get("type", "default"))
    if merged.get("partial_rotary_factor") not in (None, 1, 1.0):
        raise UnsupportedError("config.json: rope_parameters: partial_rotary_factor is not 1")
    theta = _float(merged, "rope_theta")
    if kind in (None, "default"):
        return theta, None
    if kind == "linear":
        return theta, RopeScaling("linear", _float(merged, "factor"))
    if kind == "llama3":
        return theta, RopeScaling(
            "llama3", _float(merged, "factor"), _float(merged, "low_freq_factor"),
            _float(merged, "high_freq_factor"), _int(merged, "original_max_position_embeddings"))
    raise UnsupportedError(f"config.json: rope type {kind!r} is not supported")


def _windows_from_hf(raw: dict[str, Any], model_type: str, layers: int,
                     context: int) -> tuple[int, ...]:
    """One window a layer; a window that reaches over the whole context counts as none."""
    window = raw.get("sliding_window")
    if model_type != "mistral" and not raw.get("use_sliding_window"):
        window = None
    if window is None or window >= context:
        return (0,) * layers
    if not isinstance(window, int) or window <= 0:
        raise CheckpointError(f"config.json: sliding_window: {window!r} is out of range")
    if model_type == "mistral":
        return (window,) * layers
    kinds = raw.get("layer_types")
    if kinds is None:
        first = _int(raw, "max_window_layers", layers)
        kinds = ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    sizes = {"sliding_attention": window, "full_attention": 0}
    if len(kinds) != layers or any(k not in sizes for k in kinds):
        raise UnsupportedError(f"config.json: layer_types: {kinds!r} is not supported")
    return tuple(sizes[k] for k in kinds)


def config_from_gguf(meta: dict[str, Any], tensors: dict[str, tuple[int, ...]],
                     scaling: RopeScaling | None) -> ModelConfig:
    """Reads GGUF metadata; `tensors` maps names to shapes, `scaling` comes from rope_freqs."""
    arch = meta.get("general.architecture")
    if arch not in ("llama", "qwen2", "qwen3"):
        raise UnsupportedError(f"gguf: architecture {arch!r} is not one of llama, qwen2, qwen3")
    own = {k[len(arch) + 1:]: v for k, v in meta.items() if k.startswith(arch + ".")}
    if own.get("expert_count"):
        raise UnsupportedError(f"gguf: {arch}.expert_count: mixture of experts is not supported")
    for name in ("logit_scale", "residual_scale", "embedding_scale", "attention.scale"):
        if own.get(name):
            raise UnsupportedError(f"gguf: {arch}.{name} is not supported")
    hidden, heads = _int(own, "embedding_length"), _int(own, "attention.head_count")
    if heads <= 0:
        raise CheckpointError(f"gguf: {arch}.attention.head_count: {heads} is out of range")
    head_dim = _int(own, "attention.key_length", hidden // heads)
    if _int(own, "attention.value_length", head_dim) != head_dim:
        raise UnsupportedError("gguf: keys and values of different sizes are not supported")
    if _int(own, "rope.dimension_count", head_dim) != head_dim:
        raise UnsupportedError("gguf: RoPE over a part of the head is not supported")
    if "token_embd.weight" not in tensors:
        raise CheckpointError("gguf: tensor token_embd.weight is missing")
    layers, context = _int(own, "block_count"), _int(own, "context_length")
    if not 0 < layers <= 10_000:
        raise CheckpointError(f"gguf: {arch}.block_count: {layers} is out of range")
    window = _int(own, "attention.sliding_window", 0)
    return ModelConfig(
        model_type=arch,
        vocab_size=tensors["token_embd.weight"][0],
        hidden_size=hidden,
        intermediate_size=_int(own, "feed_forward_length"),
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=_int(own, "attention.head_count_kv", heads),
        head_dim=head_dim,
        context=context,
        rms_norm_eps=_float(own, "attention.layer_norm_rms_epsilon"),
        rope_theta=_float(own, "rope.freq_base", 10_000.0),
        rope_scaling=_rope_scaling_from_gguf(own, scaling),
        tied="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
        o_bias="blk.0.attn_output.bias" in tensors,
        mlp_bias="blk.0.ffn_down.bias" in tensors,
        qk_norm="blk.0.attn_q_norm.weight" in tensors,
        windows=((window if 0 < window < context else 0),) * layers,
        bos_id=meta.get("tokenizer.ggml.bos_token_id"),
        eos_id=meta.get("tokenizer.ggml.eos_token_id"),
        pad_id=meta.get("tokenizer.ggml.padding_token_id"),
    )


def _rope_scaling_from_gguf(own: dict[str, Any],
                            from_freqs: RopeScaling | None) -> RopeScaling | None:
    """The scaling that llama.cpp would apply; `from_freqs` is that of the rope_freqs tensor.

    As there, a factor without a type is linear, rope.scale_linear is its older name, and 0 and
    1 change nothing.
    """
    kind = own.get("rope.scaling.type", "linear")
    if kind not in ("none", "linear"):
        raise UnsupportedError(f"gguf: rope type {kind!r} is not supported")
    if own.get("rope.scaling.attn_factor", 1) != 1:
        raise UnsupportedError("gguf: rope.scaling.attn_factor is not supported")
    name = "rope.scaling.factor" if "rope.scaling.factor" in own else "rope.scale_linear"
    factor = _float(own, name, 1.0)
    if kind == "none" or factor in (0, 1):
        return from_freqs
    if from_freqs:
        raise UnsupportedError(f"gguf: {name} on top of rope_freqs is not supported")
    return RopeScaling("linear", factor)


def _int(fields: dict[str, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError(f"config: {name}: want a whole number, got {value!r}")
    return value


def _float(fields: dict[str, Any], name: str, default: float | None = None) -> float:
    value = fields.get(name)
    value = default if value is None else value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise CheckpointError(f"config: {name}: want a number, got {value!r}")
    return float(value)
