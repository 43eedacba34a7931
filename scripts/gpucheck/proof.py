"""What the steps share: the time that is left, the models, the files, the commands."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

from . import work
from .process import Done, Skipped, StepError, run

SCRIPTS = Path(__file__).resolve().parent.parent
EXPORTER = SCRIPTS / "export_onnx.py"
QUESTIONS = SCRIPTS.parent / "examples" / "questions.jsonl"


class Proof:
    """One run of the proof; a rehearsal does the same on the cpu with a tiny model."""

    def __init__(self, args: argparse.Namespace, folder: Path):
        self.args, self.folder, self.rehearsal = args, folder, args.rehearse
        self.until = time.monotonic() + 60 * args.minutes
        self.ep = "cpu" if args.rehearse else "cuda"
        self.device = "cpu" if args.rehearse else "cuda"
        self.log = folder / "log.txt"
        self.forms: dict[str, Path] = {}
        self.shape = "llama-tiny" if args.rehearse else "llama-7b"
        self.speed = folder / self.shape
        self.rows = folder / "rows.jsonl"
        self.peak = args.peak * 1e12 if args.peak else 0.0  # FLOP/s; measured where not given
        self.prompt_tokens = 0  # of a prompt of rank, for the peer
        self._export: subprocess.Popen | None = None

    def limit(self, seconds: float) -> float:
        """A step's limit, within what is left of the whole."""
        left = self.until - time.monotonic()
        if left < 3:
            raise StepError("not run: the time was up")
        return min(seconds, left)

    def ortscore(self, command: str, model: Path, *flags: object, ep: str | None = None,
                 seconds: float = 90, **how) -> Done:
        line = [self.args.ortscore, command, "--ort-lib", self.args.libdir, "--onnx", model,
                "--ep", ep or self.ep, *flags]
        return run([str(word) for word in line], self.limit(seconds), log=self.log, **how)

    def peer(self, *words: object, seconds: float = 120) -> dict:
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise Skipped(f"no Python package {package}")
        done = run([sys.executable, "-m", "gpucheck.peer", *map(str, words),
                    "--device", self.device], self.limit(seconds), log=self.log)
        return json.loads(done.must().out.splitlines()[-1])

    def model(self, *forms: str) -> Path:
        """The first of the forms that there is."""
        for form in forms:
            if form in self.forms:
                return self.forms[form]
        raise StepError(f"no model that is {' or '.join(forms)}")

    def half(self) -> Path:
        """What runs on the GPU in the end; a rehearsal may have to do with fp32."""
        return self.model("fp16-gqa", *(["fp32-gqa"] if self.rehearsal else []))

    def few(self) -> list[object]:
        """The rows of the questions that a rehearsal takes."""
        return ["--limit", 2, "--threads", 2] if self.rehearsal else []

    def prepare(self) -> None:
        """Begins the export of the large model, then finds or exports the small one's forms."""
        first = self.args.models[0]
        tokenizer = first if first.is_dir() else self.folder / "fp16-gqa"
        if first.is_dir():
            self.start_export(tokenizer)
        for source in self.args.models:
            if (source / "model.onnx").is_file():
                self.forms.setdefault(form_of(source), source)
                continue
            for dtype, attention in (("fp16", "gqa"), ("fp32", "explicit")):
                out = self.folder / f"{dtype}-{attention}"
                run([sys.executable, str(EXPORTER), str(source), str(out), "--dtype", dtype,
                     "--attention", attention, "--force"], self.limit(120), log=self.log).must()
                self.forms[f"{dtype}-{attention}"] = out
                if self._export is None:
                    self.start_export(out)

    def start_export(self, tokenizer: Path) -> None:
        """Beside the steps that come first: it takes a core, and they the GPU."""
        with open(self.folder / "export.txt", "w", encoding="utf-8") as log:
            self._export = subprocess.Popen(
                [sys.executable, str(EXPORTER), "--random", self.shape, str(tokenizer),
                 str(self.speed), "--dtype", "fp32" if self.rehearsal else "fp16", "--force"],
                stdout=log, stderr=subprocess.STDOUT)

    def large(self) -> Path:
        """The model whose speed is measured, once its export has ended, with rows to score."""
        if self._export is None:
            raise StepError("no folder with a tokenizer to export it with")
        try:
            code = self._export.wait(self.limit(300))
        except subprocess.TimeoutExpired:
            raise StepError("the export did not end in time") from None
        if code != 0:
            raise StepError((self.folder / "export.txt").read_text().strip()[-300:])
        if not self.rows.exists():
            count, longest = (24, 200) if self.rehearsal else (768, 640)
            work.write_rows(self.rows, self.config()["vocab_size"], count, longest)
        return self.speed

    def config(self) -> dict:
        return json.loads((self.speed / "config.json").read_text())

    def close(self) -> None:
        if self._export is not None and self._export.poll() is None:
            self._export.kill()
            self._export.wait()


def form_of(folder: Path) -> str:
    """ "fp16-gqa" and the like, for a folder that export_onnx.py wrote."""
    config = json.loads((folder / "config.json").read_text())
    dtype = {"float32": "fp32", "float16": "fp16"}.get(config.get("torch_dtype"), "other")
    fused = b"GroupQueryAttention" in (folder / "model.onnx").read_bytes()
    return f"{dtype}-{'gqa' if fused else 'explicit'}"
