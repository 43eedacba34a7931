"""The architectures: what makes each of them other than the rest, in a small configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VOCAB = 512
CONTEXT = 1024
WINDOW = 32  # shorter than every text that is scored

COMMON: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": False,
}
# The older classes have names of their own; what a class does not know it keeps and never reads.
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": 128, "n_positions": CONTEXT,
        "tie_word_embeddings": True}
HEAD16 = {"head_dim": 16}
# ONNX Runtime wants at least 16 of a head's numbers rotated.
HALF_ROTATED = {"head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 2,
                "partial_rotary_factor": 0.5}
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2,
           "moe_intermediate_size": 48, "shared_expert_intermediate_size": 48}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512,
        "beta_fast": 32.0, "beta_slow": 1.0}
LONGROPE = {"type": "longrope", "short_factor": [1.0] * 8,
            "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]}


@dataclass(frozen=True)
class Family:
    """One line of the table for each exporter.

    `fields` are those of config.json beside COMMON. `task` is optimum's, and `decoder` says
    whether there is anything to compare: what is no causal decoder must be refused.
    """

    name: str
    model_type: str
    fields: dict[str, Any]
    task: str = "text-generation-with-past"
    decoder: bool = True
    attention: str = "eager"  # transformers' implementation that is right

    def config(self) -> dict[str, Any]:
        return COMMON | {"model_type": self.model_type} | self.fields


def _families() -> list[Family]:
    windowed = {"sliding_window": WINDOW}
    every_second = {"layer_types": ["sliding_attention", "full_attention"]}
    # Caps as low as these change every score; those of the real models seldom bind.
    caps = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0}
    short = {"original_max_position_embeddings": CONTEXT}
    longrope = {"rope_scaling": LONGROPE, "original_max_position_embeddings": 128}
    return [
        Family("llama", "llama", {}),
        Family("llama3-rope", "llama", {"rope_scaling": LLAMA3}),
        Family("llama-linear-rope", "llama", {
            "rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
        Family("llama-yarn", "llama", {"rope_scaling": YARN}),
        Family("mistral", "mistral", {"sliding_window": None}),
        Family("mistral-window", "mistral", windowed),
        Family("qwen2", "qwen2", {"use_sliding_window": False}),
        Family("qwen2-window", "qwen2", windowed | {"use_sliding_window": True,
                                                    "max_window_layers": 1}),
        Family("qwen3", "qwen3", HEAD16),
        Family("gemma", "gemma", {"tie_word_embeddings": True} | HEAD16),
        Family("gemma2", "gemma2", {"tie_word_embeddings": True, "query_pre_attn_scalar": 16}
               | HEAD16 | windowed | caps),
        Family("gemma3", "gemma3_text", {"tie_word_embeddings": True, "query_pre_attn_scalar": 16}
               | HEAD16 | windowed | every_second),
        Family("phi", "phi", HALF_ROTATED),
        Family("phi3", "phi3", {"sliding_window": None} | short),
        Family("phi3-window", "phi3", windowed | short),
        Family("phi3-longrope", "phi3", {"sliding_window": None} | longrope),
        Family("phimoe", "phimoe", {"sliding_window": None, "attention_bias": True,
                                    "lm_head_bias": True} | EXPERTS | longrope
               | {"rope_scaling": LONGROPE | {"short_mscale": 1.0, "long_mscale": 1.2,
                                              "original_max_position_embeddings": 128}}),
        Family("mixtral", "mixtral", {"sliding_window": None} | EXPERTS),
        Family("qwen2-moe", "qwen2_moe", EXPERTS),
        Family("qwen3-moe", "qwen3_moe", HEAD16 | EXPERTS),
        Family("gpt2", "gpt2", GPT2),
        Family("gpt-j", "gptj", GPT2 | {"rotary_dim": 8, "tie_word_embeddings": False}),
        Family("gpt-neox", "gpt_neox", {}),
        Family("gpt-neo", "gpt_neo", {"num_layers": 2, "num_heads": 4, "window_size": WINDOW,
                                      "attention_types": [[["global", "local"], 1]],
                                      "tie_word_embeddings": True}),
        Family("gpt-bigcode", "gpt_bigcode", GPT2),
        Family("codegen", "codegen", GPT2 | {"rotary_dim": 8, "tie_word_embeddings": False}),
        Family("opt", "opt", {"ffn_dim": 128, "word_embed_proj_dim": 64,
                              "tie_word_embeddings": True}),
        Family("bloom", "bloom", {"n_layer": 2, "n_head": 4, "tie_word_embeddings": True}),
        Family("mpt", "mpt", {"d_model": 64, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2,
                              "max_seq_len": CONTEXT, "tie_word_embeddings": True}),
        Family("falcon", "falcon", {"multi_query": True, "parallel_attn": True, "bias": False,
                                    "alibi": False, "new_decoder_architecture": False}),
        Family("falcon-new", "falcon", {"new_decoder_architecture": True, "num_kv_heads": 2,
                                        "bias": False, "alibi": False}),
        Family("falcon-alibi", "falcon", {"multi_query": False, "parallel_attn": False,
                                          "bias": True, "alibi": True,
                                          "new_decoder_architecture": False},
               attention="sdpa"),  # eager adds the bias twice, in transformers 4.57
        Family("stablelm", "stablelm", HALF_ROTATED | {"use_qkv_bias": True}),
        Family("cohere", "cohere", {"tie_word_embeddings": True, "logit_scale": 0.5}),
        Family("cohere2", "cohere2", {"tie_word_embeddings": True, "logit_scale": 0.5}
               | HEAD16 | windowed | every_second),
        Family("olmo", "olmo", {}),
        Family("olmo-clip", "olmo", {"clip_qkv": 1.0}),
        Family("olmo2", "olmo2", {}),
        Family("granite", "granite", {"embedding_multiplier": 3.0, "attention_multiplier": 0.5,
                                      "residual_multiplier": 0.5, "logits_scaling": 2.0}),
        Family("nemotron", "nemotron", HALF_ROTATED),
        Family("smollm3", "smollm3", {"no_rope_layers": [1, 0], "use_sliding_window": False}),
        Family("starcoder2", "starcoder2", {"sliding_window": None, "use_bias": True}),
        Family("starcoder2-window", "starcoder2", {"use_bias": True} | windowed),
        Family("glm", "glm", HALF_ROTATED | {"attention_bias": True}),
        Family("glm4", "glm4", HALF_ROTATED | {"attention_bias": True}),
        Family("ernie4.5", "ernie4_5", HEAD16 | {"use_bias": True, "tie_word_embeddings": True}),
        Family("gpt-oss", "gpt_oss", HEAD16 | EXPERTS | windowed | every_second
               | {"rope_theta": 150000.0, "rope_scaling": YARN | {"truncate": False}}),
        Family("arcee", "arcee", {}),
        Family("helium", "helium", HEAD16),
        Family("bert", "bert", {"tie_word_embeddings": True}, "fill-mask", False),
        Family("distilbert", "distilbert", {"dim": 64, "hidden_dim": 128, "n_layers": 2,
                                            "n_heads": 4, "tie_word_embeddings": True},
               "fill-mask", False),
        Family("t5", "t5", {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2,
                            "num_heads": 4, "decoder_start_token_id": 0},
               "text2text-generation-with-past", False),
    ]


FAMILIES = {family.name: family for family in _families()}

_NO_WINDOW = "the sliding window is dropped"
_NO_SCALING = "the rope scaling is dropped"
_EPSILON = "the epsilon of LayerNorm is 1e-6, whatever config.json says"
_ONE_SCALE = "no fault: what 8 bits lose; one scale for all activations of a forward"

# What an exporter is known to get wrong, in words; the table has the figures. Each was found by
# changing transformers' model in the same way, which then agrees with the graph.
FAULTS: dict[tuple[str, str], str] = {
    ("llama-linear-rope", "genai"): _NO_SCALING,
    ("llama-yarn", "genai"): _NO_SCALING,
    ("mistral-window", "genai"): _NO_WINDOW,
    ("phi3-window", "genai"): _NO_WINDOW,
    ("phi", "genai"): _EPSILON,
    ("nemotron", "genai"): _EPSILON,
    ("olmo", "genai"): "RMSNorm in place of LayerNorm",
    ("olmo-clip", "genai"): "RMSNorm in place of LayerNorm, and clip_qkv is dropped",
    ("gemma2", "optimum"): "the soft cap of attention is dropped (as by transformers with sdpa)",
    ("phi3-longrope", "optimum"): "the short factors at every length",
    ("falcon-alibi", "optimum"): "the ALiBi bias stays fp32; transformers rounds it to bf16",
    ("llama", "quantize_dynamic"): _ONE_SCALE,
    ("gpt2", "quantize_dynamic"): _ONE_SCALE,
}
