"""Work in a process of its own, since exporters patch what they import and may crash."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from models.exporters import Refused

LIMIT = 600  # seconds


def run(log: Path, work: Callable[[], None]) -> None:
    """Runs `work`, with all that it prints in `log`. Raises Refused with the last line of that
    where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = multiprocessing.get_context("fork").Process(target=logged, args=(log, work))
    process.start()
    process.join(LIMIT)
    if process.is_alive():
        process.kill()
        raise Refused(f"no end within {LIMIT} s")
    if process.exitcode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise Refused(lines[-1] if lines else f"exit status {process.exitcode}")


def logged(log: Path, work: Callable[[], None]) -> None:
    with open(log, "w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            work()
        except BaseException as err:
            traceback.print_exc()
            name = "" if isinstance(err, Refused) else f"{type(err).__name__}: "
            print(name + " ".join(str(err).split()), file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
