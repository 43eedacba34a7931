"""One run of ortscore on the stand-ins."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .trace import Trace

ROWS = Path(__file__).resolve().parents[2] / "examples/questions.jsonl"
SECONDS = 60  # a run takes one; one that is not done by then hangs
# What ONNX Runtime says to its own developers.
INTERNALS = ("/onnxruntime_src/", "std::", "[with ", ".cc:")


@dataclass
class Done:
    """How a run ended, and what it called."""

    code: int | None  # None where it had to be killed
    said: str
    scored: bool  # every row of the output has all its scores; doctor writes none
    trace: Trace

    @property
    def errors(self) -> list[str]:
        return [line for line in self.said.splitlines() if line.startswith("ortscore: error: ")]

    @property
    def on_cpu(self) -> str:
        """The operators that ortscore says run on the CPU."""
        found = re.search(r"nodes run on the cpu: (.*)", self.said)
        return found[1] if found else ""

    @property
    def words(self) -> str:
        """How it ended, for a table."""
        if self.code == 0:
            cuda = re.search(r"provider cuda +(.*)", self.said)
            where = ", on the cpu" if "note: runs on the cpu: " in self.said else ""
            return f"doctor: {cuda[1]}" if cuda else f"scores{where}"
        if self.errors:
            return self.errors[0].removeprefix("ortscore: error: ")
        return str(self.fault())

    def fault(self) -> str | None:
        """What nobody could make use of: neither scores nor an error with a reason."""
        if self.code is None:
            return f"hangs: killed after {SECONDS} s"
        # 2 usage, 4 the model, 75 a lost device; a crash is the signal SIGABRT, -6.
        signal = re.search(r"SIG[A-Z]{2,}.*|terminate called.*|panic: .*", self.said)
        if signal or self.code not in (0, 2, 4, 75):
            return f"exit code {self.code}: {signal[0] if signal else self.said[-200:]}"
        if self.code == 0:
            return None if self.scored else "exit code 0 without all scores"
        if len(self.errors) != 1:
            return f"{len(self.errors)} lines of error: {self.said[-200:]}"
        if any(word in self.errors[0] for word in INTERNALS) or len(self.errors[0]) > 500:
            return f"an error full of internals: {self.errors[0][:200]}"
        if "\nortscore: hint: " not in self.said:
            return f"an error without what to do next: {self.errors[0][:200]}"
        return None


class Stage:
    """The program, its libraries, and where runs leave their files."""

    def __init__(self, ortscore: Path, runtime: Path, standins: Path, models: dict[str, Path]):
        self.ortscore, self.runtime = ortscore, runtime
        self.standins, self.models = standins, models

    def run(self, command: str, model: str, settings: dict[str, str], *, provider: str = "cuda",
            missing: str = "", flags: tuple[str, ...] = ()) -> Done:
        """Runs a command, nll and rank over the examples.

        `missing` names a stand-in to do without.
        """
        with tempfile.TemporaryDirectory(prefix="cudarehearsal.") as temp:
            folder = Path(temp)
            libraries = shutil.copytree(self.standins, folder / "lib") if missing else self.standins
            if missing:
                (libraries / missing).unlink()
            env = {"FAKECUDA_SM": "80"} | {f"FAKECUDA_{k}": v for k, v in settings.items()}
            env |= {"LD_LIBRARY_PATH": str(libraries), "FAKECUDA_LOG": str(folder / "log")}
            out = folder / "out.jsonl"
            files = [] if command == "doctor" else [ROWS, "--out", out]
            code, said = call([self.ortscore, command, "--ort-lib", self.runtime, "--ep", provider,
                              "--onnx", self.models[model], *files, *flags], env)
            return Done(code, said, not files or scored(out, command), Trace.read(folder / "log"))


def call(argv: list, env: dict[str, str]) -> tuple[int | None, str]:
    """A command's exit code, None where it took too long, and what it said."""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("FAKECUDA_", "ORTSCORE_"))}
    child = subprocess.Popen(argv, env=clean | env, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
    try:
        said = child.communicate(timeout=SECONDS)[0]
        return child.returncode, said
    except subprocess.TimeoutExpired:
        child.kill()
        return None, child.communicate()[0]


def scored(out: Path, command: str) -> bool:
    """Whether each row of an output has a score for each of its passages."""
    if not out.exists():
        return False
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    lists = (("teacher_scores", ("pos", "neg")),) if command == "nll" else (
        ("pos_scores", ("pos",)), ("neg_scores", ("neg",)))
    return bool(rows) and all(
        len(row[name]) == sum(len(row[field]) for field in fields)
        for row in rows for name, fields in lists)
