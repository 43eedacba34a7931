"""Runs one way of one peer as a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Failed(Exception):
    """A process that did not do what it was asked."""


def run(command: list[str], log: Path, threads: int, ok: tuple[int, ...] = (0,),
        **environ: str) -> dict[str, Any]:
    """What the process wrote on standard output, a JSON object in its last line, with `peak`, its
    largest resident memory in MiB. Its standard error goes to `log`."""
    numbers = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                             "GOMAXPROCS"), str(threads))
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors,
                                   env=os.environ | numbers | environ)
        written = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ok:
        tail = log.read_text(errors="replace")[-2000:]
        raise Failed(f"{' '.join(command)}: exit status {process.returncode}\n{tail}")
    lines = written.decode().splitlines()
    return (json.loads(lines[-1]) if lines else {}) | {"peak": usage.ru_maxrss / 1024}


def machine() -> str:
    """The processor's name and how many there are."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    found = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8")
             if f in flags]
    name = names[0] if names else os.uname().machine
    return f"{name}, {os.cpu_count()} processors, {' '.join(found)}"


def note(text: str) -> None:
    """Progress, beside the tables on standard output."""
    print(text, file=sys.stderr, flush=True)


def arguments(prog: str) -> argparse.ArgumentParser:
    """What bench-peers and bench-rank both take."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--ortscore", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    return parser
