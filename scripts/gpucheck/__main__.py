"""The GPU proof: runs the steps and prints one Markdown table. See gpu_check.sh.

Exit codes: 0 all steps passed, 1 some failed (the table names them), 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .process import Skipped, StepError
from .proof import Proof
from .steps import STEPS


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_check.sh", description=__doc__)
    parser.add_argument("libdir", type=Path, metavar="LIBDIR",
                        help="the folder of libonnxruntime.so and its providers")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL",
                        help="SmolLM2: a .gguf file or Hugging Face folder, or exports of it")
    parser.add_argument("--ortscore", type=Path, help="the program (default LIBDIR/ortscore)")
    parser.add_argument("--peak", type=float, metavar="TFLOP/S",
                        help="the device's in 16 bits (default measured by torch)")
    parser.add_argument("--minutes", type=float, default=9.5, help="for all (default 9.5)")
    parser.add_argument("--only", metavar="WORD,...", help="the steps whose names have a word")
    parser.add_argument("--work", type=Path, metavar="DIR",
                        help="keep models and logs there (default a temporary folder); 18 GB")
    parser.add_argument("--tiny", action="store_true",
                        help="tiny models in place of those whose speed is measured")
    parser.add_argument("--rehearse", action="store_true", help="--tiny, and on the cpu")
    args = parser.parse_args(argv)
    args.ortscore = args.ortscore or args.libdir / "ortscore"
    return args


def main(argv: list[str]) -> int:
    args = parse(argv)
    folder = args.work or Path(tempfile.mkdtemp(prefix="gpu_check."))
    folder.mkdir(parents=True, exist_ok=True)
    proof = Proof(args, folder)
    failed, rows = [], []
    try:
        for name, step in STEPS.items():
            if args.only and name != "models" and not any(
                    word in name for word in args.only.split(",")):
                continue
            start = time.monotonic()
            print(f"gpu_check: {name}", file=sys.stderr)
            try:
                result = step(proof)
            except Skipped as err:
                result = f"not run: {err}"
            # A step that fails must not take the others with it, whatever went wrong.
            except (StepError, OSError, ValueError, KeyError, IndexError) as err:
                result = f"**failed**: {type(err).__name__ if not str(err) else err}"
                failed.append(name)
            rows.append((name, result, time.monotonic() - start))
    except KeyboardInterrupt:
        return 130
    finally:
        proof.close()
        print(table(rows, proof))
        if args.work is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def table(rows: list[tuple[str, str, float]], proof: Proof) -> str:
    lines = ["| step | what it gave | s |", "|---|---|---|"]
    for name, result, seconds in rows:
        cell = " ".join(result.split()).replace("|", "\\|")
        lines.append(f"| {name} | {cell} | {seconds:.0f} |")
    title = time.strftime("%Y-%m-%d", time.gmtime())
    if proof.tiny:
        title += f", a rehearsal on {proof.ep} with tiny models: its figures mean nothing"
    return f"\n{title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # no thread of a step that was given up keeps the process
