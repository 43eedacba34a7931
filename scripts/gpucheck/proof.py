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
        self.tiny = args.rehearse or args.tiny
        self.until = time.monotonic() + 60 * args.minutes
        self.ep = "cpu" if args.rehearse else "cuda"
        self.device = "cpu" if args.rehearse else "cuda"
        self.log = folder / "log.txt"
        self.forms: dict[str, Path] = {}
        self.large = "llama-tiny" if self.tiny else "llama-7b"
        self.small = "qwen3-tiny" if self.tiny else "qwen3-0.6b"
        self.peak = args.peak * 1e12 if args.peak else 0.0  # FLOP/s; measured where not given
        self.prompt_tokens = 0  # of a prompt of rank, for the peer
        self._exports: dict[str, subprocess.Popen] = {}

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
        return ["--limit", 2, "--threads", 2] if self.tiny else []

    def prepare(self) -> None:
        """Begins the exports of random weights, then finds or exports the real model's forms."""
        first = self.args.models[0]
        if first.is_dir():
            self.start_exports(first)
        for source in self.args.models:
            if (source / "model.onnx").is_file():
                self.forms.setdefault(form_of(source), source)
                continue
            for dtype, attention in (("fp16", "gqa"), ("fp32", "explicit")):
                out = self.folder / f"{dtype}-{attention}"
                run([sys.executable, str(EXPORTER), str(source), str(out), "--dtype", dtype,
                     "--attention", attention, "--force"], self.limit(120), log=self.log).must()
                self.forms[f"{dtype}-{attention}"] = out
                if not self._exports:
                    self.start_exports(out)

    def start_exports(self, tokenizer: Path) -> None:
        """Beside the steps that come first: each takes a core, and they the GPU."""
        for shape in (self.small, self.large):
            with open(self.folder / f"{shape}.txt", "w", encoding="utf-8") as log:
                self._exports[shape] = subprocess.Popen(
                    [sys.executable, str(EXPORTER), "--random", shape, str(tokenizer),
                     str(self.folder / shape), "--dtype", "fp32" if self.rehearsal else "fp16",
                     "--force"], stdout=log, stderr=subprocess.STDOUT)

    def exported(self, shape: str) -> Path:
        """A model of random weights, once its export has ended."""
        if shape not in self._exports:
            raise StepError("no folder with a tokenizer to export it with")
        try:
            code = self._exports[shape].wait(self.limit(300))
        except subprocess.TimeoutExpired:
            raise StepError("the export did not end in time") from None
        if code != 0:
            raise StepError(self.exporter_said(shape)[-300:])
        return self.folder / shape

    def exporter_said(self, shape: str) -> str:
        return (self.folder / f"{shape}.txt").read_text().strip()

    def rows(self) -> Path:
        """Sequences of unlike lengths for the large model."""
        count, longest = (24, 200) if self.tiny else (768, 640)
        return self._rows(self.large, count, longest)

    def items(self) -> Path:
        """Sequences of 300 tokens of which the last is scored, for the small one."""
        return self._rows(self.small, 24 if self.tiny else 4096, 300, shortest=300, answer=1)

    def _rows(self, shape: str, count: int, longest: int, **how: int) -> Path:
        path = self.folder / f"{shape}.jsonl"
        if not path.exists():
            work.write_rows(path, self.config(shape)["vocab_size"], count, longest, **how)
        return path

    def config(self, shape: str) -> dict:
        return json.loads((self.folder / shape / "config.json").read_text())

    def close(self) -> None:
        for export in self._exports.values():
            if export.poll() is None:
                export.kill()
                export.wait()


def form_of(folder: Path) -> str:
    """ "fp16-gqa" and the like, for a folder that export_onnx.py wrote."""
    config = json.loads((folder / "config.json").read_text())
    dtype = {"float32": "fp32", "float16": "fp16"}.get(config.get("torch_dtype"), "other")
    fused = b"GroupQueryAttention" in (folder / "model.onnx").read_bytes()
    return f"{dtype}-{'gqa' if fused else 'explicit'}"
