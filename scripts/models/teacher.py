"""ortscore on a model's folder: what it says, and how far its scores are from the reference's."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models import texts

# All rows side by side, whatever their lengths; the window is every layer's business.
SIDE_BY_SIDE = ["--batch-tokens", "16384"]
RANK = ["--model-type", "llm", "--order", "input", "--scores", "confidence"]


class Failed(Exception):
    """What ortscore said when it ended with an error."""


@dataclass
class Run:
    """Scores by row, and the notes that came with them."""

    scores: list[list[float]]
    notes: list[str] = field(default_factory=list)


class Ortscore:
    """The command with one model."""

    def __init__(self, binary: Path, library: Path, model: Path):
        self.binary = binary
        self.options = ["--onnx", model, "--ort-lib", library, "--threads", "1"]

    def nll(self, rows: list[dict[str, Any]]) -> Run:
        """All rows in one batch."""
        return self.score("nll", rows, SIDE_BY_SIDE)

    def nll_alone(self, rows: list[dict[str, Any]]) -> Run:
        return self.score("nll", rows, ["--batch-size", "1"])

    def rank(self, rows: list[dict[str, Any]]) -> Run:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as template:
            template.write(texts.TEMPLATE)
            template.flush()
            return self.score("rank", rows,
                              [*SIDE_BY_SIDE, *RANK, "--prompt-template", template.name])

    def rank_alone(self, rows: list[dict[str, Any]]) -> Run:
        """Each row in a run of its own: a cache is as wide as the longest prompt of a run."""
        runs = [self.rank([row]) for row in rows]
        return Run([run.scores[0] for run in runs])

    def score(self, command: str, rows: list[dict[str, Any]], options: list[str]) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            given, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
            given.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            _, errors = self.call(command, "--in", given, "--out", out, *options)
            lines = out.read_text(encoding="utf-8").splitlines()
        notes = [line.removeprefix("ortscore: note: ") for line in errors.splitlines()
                 if line.startswith("ortscore: note: ")]
        return Run([scores(json.loads(line)) for line in lines], notes)

    def call(self, command: str, *options: str | Path) -> tuple[str, str]:
        """Standard output and standard error."""
        done = subprocess.run([self.binary, command, *self.options, *options], timeout=120,
                              capture_output=True, text=True, env=os.environ | {"GOMAXPROCS": "1"})
        if done.returncode:
            raise Failed(words(done.stderr))
        return done.stdout, done.stderr


def scores(row: dict[str, Any]) -> list[float]:
    return row.get("teacher_scores") or row["pos_scores"] + row["neg_scores"]


def words(errors: str) -> str:
    """The first error's words."""
    for line in errors.splitlines():
        if line.startswith("ortscore: error: "):
            return line.removeprefix("ortscore: error: ")
    return errors.strip().splitlines()[-1] if errors.strip() else "no words"


def largest(first: list[list[float]], second: list[list[float]]) -> float:
    """The largest difference of a score."""
    return max(abs(x - y) for a, b in zip(first, second, strict=True)
               for x, y in zip(a, b, strict=True))
