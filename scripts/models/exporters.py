"""The exporters, each run on a checkpoint's folder. What one cannot do it says by an exception.

onnxruntime-genai's builder imports classes of transformers 5, and optimum wants 4, so that the
two cannot run in one process.
"""

from __future__ import annotations

import importlib
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.families import Family

BUILDER = "onnxruntime_genai.models.builder"


class Refused(Exception):
    """An exporter's own words for why it does not export a checkpoint."""


def optimum(family: Family, source: Path, out: Path) -> None:
    from optimum.exporters.onnx import main_export
    main_export(str(source), out, task=family.task, device="cpu", do_validation=False)


def genai(family: Family, source: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        sys.argv = [BUILDER, "-i", str(source), "-o", str(out), "-p", "fp32", "-e", "cpu",
                    "-c", cache]
        runpy.run_module(BUILDER, run_name="__main__")


def ours(family: Family, source: Path, out: Path) -> None:
    from ortexport.errors import ExportError
    from ortexport.export import Options, export
    try:
        export(source, out, Options(force=True))
    except ExportError as err:
        raise Refused(err.message) from err


def quantized(family: Family, source: Path, out: Path) -> None:
    """optimum's graph with weights and activations rounded to 8 bits, as on the hub."""
    from onnxruntime.quantization import quantize_dynamic
    optimum(family, source, out)
    quantize_dynamic(out / "model.onnx", out / "model_quantized.onnx")
    (out / "model.onnx").unlink()


EXPORTERS: dict[str, Callable[[Family, Path, Path], None]] = {
    "optimum": optimum, "genai": genai, "export_onnx": ours, "quantize_dynamic": quantized}
QUANTIZED = ("llama", "gpt2")  # the families that the last one is tried with


def tried(family: Family, exporter: str) -> bool:
    return exporter != "quantize_dynamic" or family.name in QUANTIZED


def load(exporter: str) -> None:
    """Imports what an exporter takes long to import, for all processes that are forked."""
    modules = {"optimum": "optimum.exporters.onnx", "quantize_dynamic": "optimum.exporters.onnx",
               "genai": BUILDER}
    if exporter in modules:
        importlib.import_module(modules[exporter])
