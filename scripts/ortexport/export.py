"""The steps of one export, in order."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from . import tokenizer
from .checkpoint import Checkpoint, GGUFCheckpoint, open_checkpoint
from .decoder import Decoder, check_tensors, expected_shapes
from .errors import ExportError
from .graph import Graph
from .random import RandomCheckpoint
from .smooth import Smoothed
from .writer import DATA_FILE, ExternalData, new_folder

PRODUCER = "ortscore"


@dataclass(frozen=True)
class Options:
    """What the command line says; `use_cache` is for fixtures, an explicit graph without past.

    With `random`, the name of a shape, the weights follow from the seed. `pack` is Decoder's.
    """

    dtype: str = "fp32"
    attention: str = "gqa"
    pack: str = "none"
    context: int | None = None
    tokenizer: Path | None = None
    force: bool = False
    random: str | None = None
    seed: int = 0
    use_cache: bool = True


@dataclass(frozen=True)
class Summary:
    """What was written; tied embeddings count once."""

    num_params: int
    num_bytes: int


def export(source: Path, out: Path, options: Options) -> Summary:
    """Writes `out` from the checkpoint at `source`, whole or not at all; raises ExportError."""
    if options.random is not None:
        checkpoint: Checkpoint = RandomCheckpoint(options.random, options.seed)
    else:
        checkpoint = open_checkpoint(source)
    if source.resolve().is_relative_to(out.resolve()):
        raise ExportError(f"{out} holds the source", "choose another folder")
    if options.context is not None:
        _limit_context(checkpoint, options.context)
    check_tensors(checkpoint)
    with new_folder(out, options.force) as temp:
        # Cheap and likely to fail, so it comes before the weights.
        _write_tokenizer(checkpoint, source, temp, options)
        config = checkpoint.config.to_json(options.dtype)
        (temp / "config.json").write_text(tokenizer.dump_json(config), encoding="utf-8")
        write_model(checkpoint, temp, options)
        num_bytes = sum(path.stat().st_size for path in temp.iterdir())
    shapes = expected_shapes(checkpoint.config).values()
    return Summary(sum(map(math.prod, shapes)), num_bytes)


def _limit_context(checkpoint: Checkpoint, context: int) -> None:
    longest = checkpoint.config.context
    if not 0 < context <= longest:
        raise ExportError(f"--context: {context} is not between 1 and the model's {longest}")
    windows = tuple(w if w < context else 0 for w in checkpoint.config.windows)
    checkpoint.config = dataclasses.replace(checkpoint.config, context=context, windows=windows)


def _write_tokenizer(checkpoint: Checkpoint, source: Path, out: Path, options: Options) -> None:
    if options.random is not None:
        vocab = checkpoint.config.vocab_size
        tokenizer.copy_hf_files(options.tokenizer or source, out)
        tokenizer.fit(out / "tokenizer.json", vocab)
    elif options.tokenizer is not None:
        tokenizer.copy_hf_files(options.tokenizer, out)
    elif isinstance(checkpoint, GGUFCheckpoint):
        tokenizer.write_files(
            tokenizer.gguf_files(checkpoint.meta, checkpoint.config.context), out)
    else:
        tokenizer.copy_hf_files(source, out)


def write_model(checkpoint: Checkpoint, out: Path, options: Options) -> None:
    """Writes model.onnx and model.onnx.data."""
    data = ExternalData(out / DATA_FILE)
    try:
        int8 = options.dtype == "int8"
        graph = Graph("fp32" if int8 else options.dtype, data)
        if int8:
            checkpoint = Smoothed(checkpoint)
        Decoder(graph, checkpoint, options.attention, options.use_cache, int8,
                options.pack).build()
    finally:
        data.close()
    (out / "model.onnx").write_bytes(graph.model(PRODUCER).SerializeToString(deterministic=True))
