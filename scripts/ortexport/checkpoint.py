"""A checkpoint: a Hugging Face folder or a GGUF file behind one small interface.

Tensors go by their Hugging Face names ("model.layers.0.self_attn.q_proj.weight"), linear
weights are [out, in], and everything arrives as float32, a block of rows at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .config import ModelConfig, config_from_gguf, config_from_hf
from .errors import CheckpointError, ExportError, UnsupportedError
from .rope import scaling_from_factors
from .safefile import SafetensorsFile

MAX_JSON = 256 << 20

# Buffers that old checkpoints carry along and that follow from the config.
DERIVED_SUFFIXES = (".rotary_emb.inv_freq", ".attention.bias", ".attn.masked_bias")

GGUF_GLOBAL = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
GGUF_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class Checkpoint(Protocol):
    """What the decoder asks of a checkpoint."""

    config: ModelConfig

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by its Hugging Face name."""

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """The tensor as float32 blocks of whole rows, in order."""


def read(checkpoint: Checkpoint, name: str) -> np.ndarray:
    """The whole tensor as float32; holds one copy and one block."""
    shape = checkpoint.shapes()[name]
    out = np.empty(shape, np.float32)
    row = 0
    for block in checkpoint.blocks(name):
        out[row:row + len(block)] = block
        row += len(block)
    return out


def open_checkpoint(source: Path) -> Checkpoint:
    """Opens SOURCE, a .gguf file or a folder with config.json and safetensors."""
    if source.is_dir():
        return HFCheckpoint(source)
    if source.is_file():
        return GGUFCheckpoint(source)
    raise CheckpointError(f"{source}: no such file or folder")


class HFCheckpoint:
    """A folder as transformers saves it; one file or several with an index."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._index: dict[str, str] = {}
        self.config = config_from_hf(read_json(folder / "config.json"))
        self._files: dict[str, SafetensorsFile] = {}
        for path in self._shards():
            file = SafetensorsFile(path)
            for name in file.entries:
                if name in self._files:
                    raise CheckpointError(f"{path.name}: {name} is in another file too")
                self._files[name] = file
        self._check_index()

    def _shards(self) -> list[Path]:
        index = self.folder / "model.safetensors.index.json"
        if not index.exists():
            single = self.folder / "model.safetensors"
            if single.exists():
                return [single]
            raise CheckpointError(
                f"{self.folder}: no model.safetensors and no index of shards",
                "convert .bin weights with transformers' save_pretrained")
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise CheckpointError(f"{index.name}: weight_map: want an object with entries")
        self._index = weight_map
        for name in weight_map.values():
            # An index names files of its own folder, nothing else.
            if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
                raise CheckpointError(f"{index.name}: weight_map: {name!r} is not a file name")
        return [self.folder / name for name in sorted(set(weight_map.values()))]

    def _check_index(self) -> None:
        for name, shard in self._index.items():
            if name not in self._files or self._files[name].path.name != shard:
                raise CheckpointError(f"{shard}: {name} is missing, though the index names it")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: file.entries[name].shape for name, file in self._files.items()
                if not name.endswith(DERIVED_SUFFIXES)}

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        return self._files[name].blocks(name)


class GGUFCheckpoint:
    """A GGUF file, with its names and its row order turned back into Hugging Face's."""

    def __init__(self, path: Path):
        # Here, so that a machine without the package gguf can read everything else.
        try:
            from .gguffile import GGUFFile
        except ImportError as err:
            raise ExportError(f"{path.name}: no Python package {err.name}",
                              "pip install gguf, or give a folder with safetensors") from err
        self.path = path
        self.file = GGUFFile(path)
        shapes = {name: entry.shape for name, entry in self.file.entries.items()}
        scaling = None
        if "rope_freqs.weight" in shapes:
            factors = np.concatenate(list(self.file.blocks("rope_freqs.weight")))
            theta = self.meta.get(f"{self.meta.get('general.architecture')}.rope.freq_base", 1e4)
            scaling = scaling_from_factors(factors.astype(np.float64), float(theta))
        self.config = config_from_gguf(self.meta, shapes, scaling)
        self._names = self._hf_names(shapes)

    @property
    def meta(self) -> dict[str, Any]:
        return self.file.meta

    def _hf_names(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
        to_gguf = dict(GGUF_GLOBAL)
        for i in range(self.config.num_layers):
            for hf, short in GGUF_LAYER.items():
                for kind in ("weight", "bias"):
                    to_gguf[f"model.layers.{i}.{hf}.{kind}"] = f"blk.{i}.{short}.{kind}"
        names = {hf: name for hf, name in to_gguf.items() if name in shapes}
        left = set(shapes) - set(names.values()) - {"rope_freqs.weight"}
        if left:
            raise UnsupportedError(f"{self.path.name}: tensor {min(left)} is not known")
        return names

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {hf: self.file.entries[name].shape for hf, name in self._names.items()}

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        heads = {"q_proj": self.config.num_heads, "k_proj": self.config.num_kv_heads}
        part = name.split(".")[-2]
        if self.config.model_type != "llama" or part not in heads:
            yield from self.file.blocks(self._names[name])
            return
        whole = np.concatenate(list(self.file.blocks(self._names[name])))
        yield half_split_rows(whole, heads[part])


def half_split_rows(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undoes the row order of llama GGUF files in q and k, [heads * head_dim, ...].

    Converters to GGUF interleave each head's two halves (0, d/2, 1, d/2+1, ...), so that RoPE
    there turns neighbours. Hugging Face and GroupQueryAttention turn (i, i + d/2).
    """
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, or CheckpointError."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise CheckpointError(f"{path.name}: larger than {MAX_JSON >> 20} MB")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise CheckpointError(f"{path}: {err.strerror or err}") from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{path.name}: not valid JSON: {err}") from err
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name}: want a JSON object")
    return value
