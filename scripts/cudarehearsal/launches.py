"""Counts what a forward launches, a layer and beside the layers, by the log of the stand-ins.

    PYTHONPATH=scripts python -m cudarehearsal.launches --ortscore build/ortscore \\
        --runtime build/cuda/lib --standins build/cuda/standins --work build/cuda/launches

Every form of a model is exported with two layers and with four: the difference is what a layer
takes. nll counts a forward that scores, rank a step. The table goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from ortexport.config import config_from_hf
from ortexport.decoder import expected_shapes
from ortexport.export import Options, export

from .models import TOKENIZER
from .session import Stage
from .table import markdown
from .trace import Event, Trace, select

# Three query heads to a key head, as SmolLM2 has: flash attention for prompts and steps.
SHAPE = {"hidden_size": 96, "intermediate_size": 128, "num_attention_heads": 3,
         "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 2048}
DEPTHS = (2, 4)
MODELS = {"llama": ("none", "qkv", "all"), "qwen3": ("none", "all")}
# Kernels, multiplies and fills: each is handed to the device by itself.
LAUNCHES = ("launch", "multiply", "set")


@dataclass(frozen=True)
class Counts:
    """What a forward takes."""

    launches: int
    uploads: int
    upload_bytes: int
    waits: int


def counts(trace: Trace) -> Counts:
    """Those of a typical forward of a run."""

    def number(kind: str, **fields: str) -> int:
        return trace.typical(lambda part: len(select(part, kind, **fields)))

    return Counts(trace.typical(launched), number("copy", way="host-device"),
                  trace.copied("host-device"), number("wait"))


def launched(part: list[Event]) -> int:
    return sum(event.kind in LAUNCHES for event in part)


def per_layer(shallow: Counts, deep: Counts) -> tuple[int, int]:
    """Launches of a layer, and those beside all layers."""
    layer, rest = divmod(deep.launches - shallow.launches, DEPTHS[1] - DEPTHS[0])
    if rest:
        raise ValueError(f"layers differ: {shallow.launches} and {deep.launches} launches")
    return layer, shallow.launches - DEPTHS[0] * layer


def make(out: Path) -> dict[str, Path]:
    """The folders of all models, by name and number of layers."""
    made = {}
    for family, packs in MODELS.items():
        for depth in DEPTHS:
            source = checkpoint(out / f"{family}-{depth}-hf", family, depth)
            for pack in packs:
                name = f"{family} --pack {pack}, {depth}"
                made[name] = out / f"{family}-{pack}-{depth}"
                export(source, made[name], Options(dtype="fp16", pack=pack, force=True))
    return made


def checkpoint(folder: Path, family: str, layers: int) -> Path:
    """A Hugging Face folder with random weights, which nothing computes with."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in TOKENIZER.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, folder)
    config = json.loads((TOKENIZER / "config.json").read_text()) | SHAPE
    config |= {"model_type": family, "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    save_file({name: (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)
               for name, shape in expected_shapes(config_from_hf(config)).items()},
              folder / "model.safetensors")
    return folder


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cudarehearsal.launches",
                                     description="count the launches of a forward")
    for name in ("ortscore", "runtime", "standins", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)
    models = make(args.work)
    stage = Stage(args.ortscore.resolve(), args.runtime.resolve(), args.standins.resolve(), models)
    rows = []
    for command in ("nll", "rank"):
        for name in dict.fromkeys(name.rpartition(",")[0] for name in models):
            shallow, deep = (counts(run(stage, command, f"{name}, {depth}")) for depth in DEPTHS)
            layer, rest = per_layer(shallow, deep)
            rows.append((command, name, layer, rest,
                         f"{deep.uploads}: {deep.upload_bytes:,} bytes", deep.waits))
    print(markdown(("command", "export", "launches a layer", "launches beside the layers",
                    "copies up", "waits"), rows))
    return 0


def run(stage: Stage, command: str, model: str) -> Trace:
    done = stage.run(command, model, {"SM": "80"})
    if done.fault() or done.code != 0:
        raise SystemExit(f"launches: error: {command} {model}: {done.fault() or done.words}")
    return done.trace


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
