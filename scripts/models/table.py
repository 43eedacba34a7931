"""docs/models.md out of the results: what runs and how right it is, and what does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from models import texts
from models.exporters import EXPORTERS
from models.families import FAMILIES, FAULTS, WINDOW

WRONG = 1e-3  # nats; rounding moves these scores by less than 1e-4
NAMES = {"genai": "onnxruntime-genai", "export_onnx": "export_onnx.py"}
# Notes that say what a column says, or what is so for any random or quantised model.
NOT_SHOWN = ("hardly follows the prompt", "are not those of the fp32 teacher",
             "gives the logits of every position", "reads the whole text again")
HEAD = Path(__file__).with_name("head.md")


def document(work: Path, versions: str) -> str:
    results = list(read(work))
    run = [r for r in results if "refused" not in r[2]]
    return "\n".join([
        HEAD.read_text(encoding="utf-8").format(
            window=WINDOW, wrong=WRONG, versions=versions, rows=len(texts.rows()),
            lists=len(texts.lists())),
        "## What runs\n", *runs(run), "",
        "## Graphs that differ from transformers\n", *faults(run), "",
        "## What is not exported\n", *missing(results), ""])


def read(work: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The results there are: family, exporter, what was found."""
    for name in FAMILIES:
        for exporter in EXPORTERS:
            path = work / f"{name}-{exporter}" / "result.json"
            if path.exists():
                yield name, exporter, json.loads(path.read_text(encoding="utf-8"))


def versions() -> str:
    packages = ("optimum-onnx", "onnxruntime-genai", "transformers", "torch", "onnxruntime")
    return ", ".join(f"{name} {metadata.version(name)}" for name in packages)


def runs(results: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """The table of all models."""
    lines = ["| architecture | exporter | ortscore gives | nll: graph | alone | batch "
             "| rank: graph | alone | batch |", "|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, exporter, result in results:
        cells = [name, label(exporter), how(result)]
        for kind in ("nll", "rank"):
            cells.append(figure(result.get("graph", {}).get(kind)))
            cells += [figure(result.get(kind, {}).get(what)) for what in ("alone", "together")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def how(result: dict[str, Any]) -> str:
    """In which form the model runs, or the words with which it is refused."""
    errors = [result[kind]["error"] for kind in ("nll", "rank") if "error" in result[kind]]
    if errors:
        return "refused: " + plain(errors[0])
    notes = result["rank"]["notes"]
    cached = not any("reads the whole text again" in note for note in notes)
    full = any("gives the logits of every position" in note for note in result["nll"]["notes"])
    form = "full logits" if full else "scoring graph"
    shown = {plain(note).split(";")[0] for kind in ("nll", "rank") for note in result[kind]["notes"]
             if not any(words in note for words in NOT_SHOWN)}
    return "; ".join([form, "cache" if cached else "no cache", *sorted(shown)])


def plain(words: str) -> str:
    """A message without the model's folder, and fit for a table."""
    return re.sub(r"(?<!\S)[\w.]*/\S*/", "", words).replace("|", "\\|")


def figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"**{value:.2g}**" if value > WRONG else f"{value:.0e}"


def faults(results: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """What the exporters are known to get wrong, with the figures of this run."""
    lines = ["| architecture | exporter | nll | rank | what is wrong |", "|---|---|---:|---:|---|"]
    for name, exporter, result in results:
        graph = result.get("graph", {})
        known = FAULTS.get((name, exporter))
        if known or max(graph.get("nll", 0), graph.get("rank", 0)) > WRONG:
            lines.append(f"| {name} | {label(exporter)} | {figure(graph.get('nll'))} | "
                         f"{figure(graph.get('rank'))} | {known or 'not known'} |")
    return lines


def missing(results: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """The exporters' words, each once, with all that they were said of."""
    said: dict[tuple[str, str], list[str]] = {}
    for name, exporter, result in results:
        if "refused" in result:
            said.setdefault((exporter, reason(result["refused"], name)), []).append(name)
    return ["| exporter | its words | of |", "|---|---|---|",
            *(f"| {label(exporter)} | {words} | {', '.join(names)} |"
              for (exporter, words), names in said.items())]


def reason(words: str, name: str) -> str:
    """The first words of an exporter's error, the same for all that it is the same for."""
    words = words.split(", that is a")[0].split(", but")[0]
    kind = FAMILIES[name].model_type
    words = plain(words).replace(f"'{kind}'", "...")
    for own in (kind, kind.replace("_", "-"), name):
        words = words.replace(f" {own} ", " ... ")
    return words[:160]


def label(exporter: str) -> str:
    return NAMES.get(exporter, exporter)
