"""The steps for one family: checkpoint and reference, export, measurement."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer

from models import apart, checkpoint, exporters, reference, teacher, texts
from models.exporters import EXPORTERS, Refused
from models.families import Family

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()


def prepare(family: Family, work: Path) -> None:
    """The checkpoint and what transformers makes of it."""
    folder = work / "checkpoints" / family.name
    if (folder / "reference.json").exists():
        return
    if not (folder / "tokenizer.json").exists():  # the last file that is written
        checkpoint.write(family, folder)
    expected: dict[str, Any] = {}
    if family.decoder:
        # What transformers does not find it fills with noise.
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=family.attention,
            output_loading_info=True)
        if any(info.values()):
            raise SystemExit(f"models: error: {folder}: {info}")
        expected = compute(model.eval(), folder)
    save(folder / "reference.json", expected)


def compute(model: Any, folder: Path) -> dict[str, Any]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return {"nll": reference.scores(model, tokenizer, texts.rows()),
            "rank": reference.rankings(model, tokenizer, texts.TEMPLATE, texts.lists())}


def export(family: Family, exporter: str, work: Path) -> None:
    """The model's folder, or the reason why there is none, in exported.json."""
    source, folder = work / "checkpoints" / family.name, work / f"{family.name}-{exporter}"
    if (folder / "exported.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    exporters.load(exporter)
    result: dict[str, Any] = {}
    try:
        apart.run(folder / "export.log", lambda: EXPORTERS[exporter](family, source, folder))
    except Refused as err:
        result["refused"] = str(err)
    # transformers 5 saves another for some families, by the class that goes with their name.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder)
    save(folder / "exported.json", result)
    print(folder.name, result or "exported", flush=True)


def measure(family: Family, work: Path, binary: Path, library: Path) -> None:
    """result.json of each of a family's models."""
    expected = load(work / "checkpoints" / family.name / "reference.json")
    for exporter in EXPORTERS:
        folder = work / f"{family.name}-{exporter}"
        if not (folder / "exported.json").exists():
            continue
        result = load(folder / "exported.json")
        if not result:
            if expected:
                result["graph"] = by_itself(folder, expected)
            models = list(folder.glob("*.onnx"))
            model = models[0] if len(models) == 1 else folder
            result |= scored(teacher.Ortscore(binary, library, model), expected)
        save(folder / "result.json", result)
        print(folder.name, json.dumps(result), flush=True)


def by_itself(folder: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """How far the graph alone is from transformers, or why it does not run."""
    path = folder / "graph.json"
    try:
        if not path.exists():
            model, = folder.glob("*.onnx")
            apart.run(folder / "graph.log",
                      lambda: save(path, compute(reference.Session(model), folder)))
    except Refused as err:
        return {"error": str(err)}
    got = load(path)
    return {kind: teacher.largest(got[kind], expected[kind]) for kind in got}


def scored(ort: teacher.Ortscore, expected: dict[str, Any]) -> dict[str, Any]:
    """ortscore's notes and its differences, each row alone and all in one batch."""
    return {"nll": compared(ort.nll, ort.nll_alone, texts.rows(), expected.get("nll")),
            "rank": compared(ort.rank, ort.rank_alone, texts.lists(), expected.get("rank"))}


def compared(together: Callable[..., teacher.Run], alone: Callable[..., teacher.Run],
             rows: list[dict[str, Any]], expected: list[list[float]] | None) -> dict[str, Any]:
    try:
        run = together(rows)
        if not expected:
            return {"notes": run.notes}
        return {"notes": run.notes, "alone": teacher.largest(alone(rows).scores, expected),
                "together": teacher.largest(run.scores, expected)}
    except teacher.Failed as err:
        return {"error": str(err)}


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def save(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")
